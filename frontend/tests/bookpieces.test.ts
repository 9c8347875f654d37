import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Block } from '../src/book/api.ts';
import { costOf, referred } from '../src/book/cells.ts';
import { drawing, size, type Need } from '../src/book/layers.ts';
import { inserted, moved } from '../src/book/move.ts';
import { headingOf, passages, piecesOf, sectionEnd, type Piece } from '../src/book/passages.ts';
import { alike } from '../src/book/same.ts';

/** Numbers in [0, 1) that a seed gives. */
function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
const cell = (id: string, more = '') => `\`\`\`triality chart id=${id}\nof: x\n${more}\`\`\`\n`;
const cellBlock = (id: string): Block => ({ type: 'cell', cell: id, text: cell(id) });
const prose = (text: string): Block => ({ type: 'prose', text });
const textOf = (pieces: Block[]) => pieces.map((p) => p.text).join('');

test('prose is cut before its headings, and the cuts are the text', () => {
  for (const [text, want] of [
    ['', ['']],
    ['\n\n# A\n\na\n## B\nb\n', ['\n\n', '# A\n\na\n', '## B\nb\n']],
    ['a\n```\n# no heading\n```\n# B\n', ['a\n```\n# no heading\n```\n', '# B\n']],
    ['a\n~~~~\n```\n# no\n~~~\n~~~~\n# B', ['a\n~~~~\n```\n# no\n~~~\n~~~~\n', '# B']],
    ['#no\n    # no\n####### no\n#\n', ['#no\n    # no\n####### no\n', '#\n']],
    ['# A\r\n\r\n## B\r\n', ['# A\r\n\r\n', '## B\r\n']],
  ] as const) {
    assert.deepEqual(passages(text), want, JSON.stringify(text));
    assert.equal(passages(text).join(''), text);
  }
  assert.deepEqual(headingOf(prose('\n\n### A #b ##\ntext')), { level: 3, text: 'A #b' });
  assert.equal(headingOf(prose('text\n# A')), undefined);
});

test('a section ends before the next heading that is not below its own', () => {
  const all = piecesOf([prose('# A\n'), cellBlock('a'), prose('\n## B\n'), cellBlock('b'), prose('\n### C\nc\n## D\n'), prose('\n# E\n')]);
  const at = (text: string) => all.findIndex((p) => p.text.includes(text));
  assert.equal(sectionEnd(all, at('# A')), at('# E'));
  assert.equal(sectionEnd(all, at('## B')), at('## D'));
  assert.equal(sectionEnd(all, at('### C')), at('## D'));
  assert.equal(sectionEnd(all, at('# E')), all.length);
});

test('pieces that did not change are the very same, and an edited one keeps its key', () => {
  const blocks = [prose('# A\n\n'), cellBlock('a'), prose('\n'), cellBlock('b'), prose('\ntext\n')];
  const before = piecesOf(blocks);
  assert.deepEqual(piecesOf(blocks, before), before);
  const now = piecesOf(blocks.map((b) => (b.cell === 'a' ? { ...b, text: cell('a', 'log: true\n') } : b)), before);
  assert.equal(now[1]!.key, before[1]!.key);
  assert.ok(now.every((p, i) => i === 1 || p === before[i]));
  // Cells that change places keep theirs; a heading that was typed makes a piece of its own.
  const swapped = piecesOf([blocks[0]!, blocks[3]!, blocks[2]!, blocks[1]!, prose('\ntext\n## New\n')], before);
  assert.equal(swapped[1], before[3]);
  assert.equal(swapped[3], before[1]);
  assert.equal(swapped.length, 7);
  assert.equal(new Set(swapped.map((p) => p.key)).size, 7);
  const twice = piecesOf([cellBlock('a'), cellBlock('a')], before);
  assert.notEqual(twice[0]!.key, twice[1]!.key, 'two cells of one name');
});

test('a moved cell takes its blank line along, and every other byte stays', () => {
  const all = piecesOf([prose('p\n\n'), cellBlock('a'), prose('\n'), cellBlock('b'), prose('\n'), cellBlock('c'), prose('\nend\n')]);
  assert.equal(textOf(moved(all, 1, 2, 6)), `p\n\n${cell('b')}\n${cell('c')}\n${cell('a')}\nend\n`);
  assert.equal(textOf(moved(all, 5, 6, 1)), `p\n\n${cell('c')}\n${cell('a')}\n${cell('b')}\nend\n`);
  assert.equal(textOf(moved(all, 3, 4, 0)), `${cell('b')}\np\n\n${cell('a')}\n${cell('c')}\nend\n`);
  for (const to of [1, 2]) assert.equal(moved(all, 1, 2, to), all, 'it stands there');
  const front = piecesOf([{ type: 'front', text: '---\ntitle: a\n---\n' }, cellBlock('a'), cellBlock('b')]);
  assert.equal(moved(front, 2, 3, 0), front, 'nothing stands before the settings');
  assert.equal(moved(front, 0, 1, 3), front);
});

test('what would run into each other is kept apart', () => {
  const open: Block = { type: 'cell', cell: 'o', text: '```triality chart id=o\nof: x\n' };
  assert.equal(textOf(moved(piecesOf([cellBlock('a'), prose('\n'), open]), 2, 3, 0)), `${open.text}\`\`\`\n\n${cell('a')}`);
  assert.equal(textOf(moved(piecesOf([cellBlock('a'), prose('\n'), open]), 0, 1, 3)), `${open.text}\`\`\`\n\n${cell('a')}`);
  const bare: Block = { type: 'cell', cell: 'b', text: cell('b').trimEnd() };
  assert.equal(textOf(moved(piecesOf([cellBlock('a'), bare]), 1, 2, 0)), `${cell('b')}${cell('a')}`);
  // Two passages that a cell stood between stay two.
  assert.equal(textOf(moved(piecesOf([prose('one\n'), cellBlock('a'), prose('two\n')]), 1, 2, 3)), `one\n\ntwo\n${cell('a')}`);
  assert.equal(textOf(inserted(piecesOf([bare]), 1, '\nx\n')), `${cell('b')}\nx\n`);
});

test('of 300 moves of made notebooks each keeps every piece, and the order of the others', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const rnd = random(seed);
    const eol = seed % 5 ? '\n' : '\r\n';
    const blocks: Block[] = rnd() < 0.5 ? [{ type: 'front', text: '---\ntitle: t\n---\n' }] : [];
    const n = 1 + Math.floor(rnd() * 9);
    for (let i = 0; i < n; i++) {
      const kind = rnd();
      if (kind < 0.6) blocks.push(cellBlock(`c${i}`));
      else blocks.push(prose(`${rnd() < 0.5 ? `## S${i}\n\n` : ''}text ${i}\n`));
      if (rnd() < 0.7) blocks.push(prose('\n'.repeat(1 + Math.floor(rnd() * 2))));
    }
    for (const b of blocks) b.text = b.text.replaceAll('\n', eol);
    if (rnd() < 0.3) blocks.at(-1)!.text = blocks.at(-1)!.text.trimEnd();
    const all = piecesOf(blocks);
    const from = Math.floor(rnd() * all.length);
    if (!all[from]!.text.trim()) continue;
    const end = headingOf(all[from]!) ? sectionEnd(all, from) : from + 1;
    const now = moved(all, from, end, Math.floor(rnd() * (all.length + 1)));
    const solid = (p: Piece[]) => p.filter((x) => x.text.trim()).map((x) => x.text.trim());
    const rest = (p: Piece[]) => p.filter((x) => !all.slice(from, end).some((y) => y.key === x.key)).filter((x) => x.text.trim()).map((x) => x.text.trim());
    assert.deepEqual(solid(now).sort(), solid(all).sort(), `seed ${seed}`);
    assert.deepEqual(rest(now), rest(all), `seed ${seed}: the others' order`);
    assert.ok(Math.abs(textOf(now).length - textOf(all).length) <= 8, `seed ${seed}: more than line ends came or went`);
    // Each cell still begins at the start of a line.
    for (const m of textOf(now).matchAll(/```triality/g)) assert.ok(m.index === 0 || textOf(now)[m.index - 1] === '\n', `seed ${seed}`);
    if (eol === '\r\n') assert.doesNotMatch(textOf(now), /[^\r]\n/, `seed ${seed}`);
  }
});

test('a drawing has each cell below what it needs, without overlap, and each need once', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const rnd = random(seed);
    const n = seed === 40 ? 200 : 1 + Math.floor(rnd() * 60);
    const nodes: Need[] = Array.from({ length: n }, (_, i) => ({
      id: `n${i}`, needs: Array.from({ length: Math.floor(rnd() * 3) }, () => `n${Math.floor(rnd() * (i + (seed % 7 ? 0 : 3)))}`).filter((x) => x !== `n${i}` && Number(x.slice(1)) < n),
    }));
    const d = drawing(nodes);
    const at = new Map(d.spots.map((s) => [s.id, s]));
    assert.equal(at.size, n);
    for (const [i, a] of d.spots.entries()) {
      assert.ok(a.x >= -0.01 && a.x + size.w <= d.width + 0.01 && a.y + size.h <= d.height, `seed ${seed}: ${a.id} is outside`);
      for (const b of d.spots.slice(i + 1)) assert.ok(a.layer !== b.layer || Math.abs(a.x - b.x) >= size.w, `seed ${seed}: ${a.id} covers ${b.id}`);
    }
    for (const w of d.wires) {
      assert.ok(at.get(w.from)!.y < at.get(w.to)!.y, `seed ${seed}: ${w.from} to ${w.to}`);
      w.points.forEach(([, y], k) => assert.ok(k === 0 || y >= w.points[k - 1]![1]));
    }
    const wanted = new Set(nodes.flatMap((x) => x.needs.map((from) => `${from} ${x.id}`)));
    if (seed % 7) assert.equal(d.wires.length, wanted.size);
    assert.ok(d.width <= 11 * (size.w + size.between) * 2, `seed ${seed}: ${d.width} px wide`);
  }
  // One that needs itself by way of others is drawn all the same.
  assert.equal(drawing([{ id: 'a', needs: ['b'] }, { id: 'b', needs: ['a'] }]).wires.length, 1);
  assert.deepEqual(drawing([]), { spots: [], wires: [], width: 0, height: 0 });
});

test('a chain beside a fan is drawn without crossings', () => {
  const d = drawing([{ id: 'a', needs: [] }, { id: 'b', needs: ['a'] }, { id: 'c', needs: ['a'] }, { id: 'd', needs: ['b'] }, { id: 'e', needs: ['c', 'a'] }]);
  const x = (id: string) => d.spots.find((s) => s.id === id)!.x;
  assert.equal(Math.sign(x('b') - x('c')), Math.sign(x('d') - x('e')));
});

test('what a cell refers to is found in its text', () => {
  assert.deepEqual(referred(cell('a', 'b: ${rows.dataset}\nc: ${tune.metrics.eval/loss}\nd: ${rows.summary}\ne: $x {y}\nf: "{{ab.accuracy.B}} {{ length.value }}"\n')), ['rows', 'tune', 'ab', 'length']);
});

test('what a run of a cell takes is counted once for each step that it needs', () => {
  const cells = new Map([
    { id: 'a', state: 'fresh' }, { id: 'b', state: 'stale', needs: ['a'], seconds: 3 }, { id: 'c', state: 'new', needs: ['a', 'b'], seconds: 4 }, { id: 'n', state: 'fresh', needs: ['c'], cost: 'free' },
  ].map((c) => [c.id, c]));
  assert.deepEqual(costOf('n', cells), { open: 2, taken: 1, seconds: 7 });
});

test('two values are alike when they say the same', () => {
  assert.ok(alike({ a: [1, { b: null }], c: 'x' }, { c: 'x', a: [1, { b: null }] }));
  for (const [a, b] of [[{ a: 1 }, { a: 2 }], [{ a: 1 }, { a: 1, b: 1 }], [[1], { 0: 1 }], [null, {}], [[1, 2], [2, 1]], [{ a: undefined }, { b: undefined }]]) assert.ok(!alike(a, b));
});
