import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freeName, fresh, parts, seriesOf, withBody } from '../src/book/cells.ts';
import { helpAt, offers, placeAt } from '../src/book/complete.ts';
import { context } from '../src/book/diff.ts';
import type { Kind } from '../src/book/schema.ts';
import { valueAt, valuesOf, withValue, type Plain } from '../src/book/yamledit.ts';

const cell = '```triality convert id=rows\nbase_model: m\n```\n';

test('the parts of a cell are its text', () => {
  for (const text of [cell, cell.trimEnd(), '~~~triality a id=b\n~~~\n', '  ````triality a id=b\nx: "```"\n  ````\n', '```triality a id=b\nnever: closed\n', '```triality a id=b\r\nx: 1\r\n```\r\n', '```triality a id=b']) {
    const p = parts(text);
    assert.equal(p.open + p.body + p.close, text);
  }
  assert.deepEqual(parts(cell), { open: '```triality convert id=rows\n', body: 'base_model: m\n', close: '```\n' });
});

test('another body changes nothing but the body, and what fences must grow', () => {
  assert.equal(withBody(cell, 'base_model: n\n'), cell.replace(': m', ': n'));
  assert.equal(withBody(cell, 'base_model: n'), cell.replace(': m', ': n'));
  assert.equal(withBody(cell, 'x: |\n```\n'), '````triality convert id=rows\nx: |\n```\n````\n');
  assert.equal(withBody('```triality a id=b\nopen: 1\n', 'open: 2\n'), '```triality a id=b\nopen: 2\n```\n');
});

test('new cells have names of their own', () => {
  assert.equal(freeName('burn-in', []), 'burnin');
  assert.equal(freeName('convert', ['convert', 'convert2']), 'convert3');
  assert.equal(fresh('convert', 'c'), '\n```triality convert id=c\n```\n');
});

test('the series of a cell are those of its step', () => {
  const two = [{ name: 'a', kind: 'finetune' }, { name: 'b', kind: 'finetune' }, { name: 'so8t', kind: 'replace' }];
  const names = ['a/train/loss', 'b/train/loss', 'so8t/loss', 'so8t_eval/loss', 'b/eval/loss'];
  assert.deepEqual(seriesOf('finetune', 'b', two, names), ['b/train/loss', 'b/eval/loss']);
  assert.deepEqual(seriesOf('replace', 'so8t', two, names), ['so8t/loss', 'so8t_eval/loss']);
  assert.deepEqual(seriesOf('report', 'r', two, names), []);
});

test('a difference shows what changed and a little around it', () => {
  const before = Array.from({ length: 20 }, (_, i) => `line ${i}`).join('\n');
  const got = context(before, before.replace('line 9\n', 'line nine\n')).map((l) => (l ? `${l.kind} ${l.text}` : '…'));
  assert.deepEqual(got, ['same line 7', 'same line 8', 'gone line 9', 'new line nine', 'same line 10', 'same line 11', '…']);
});

test('the form changes one value of a cell and no other byte', () => {
  const body = 'base_model: ${base.model} # whose\n\ntraining:\n  # how long\n  lora_r: 8   # rank\n  optim: "adamw_torch"\nflow: {a: 1, b: [1, 2]}\nlist:\n- x\n- y\nempty:\ntext: |\n  one\n  two\nlast: 1';
  const cases: [string[], Plain | undefined, string, string][] = [
    [['training', 'lora_r'], 16, 'lora_r: 8   #', 'lora_r: 16   #'],
    [['training', 'optim'], 'adamw_8bit', '"adamw_torch"', 'adamw_8bit'],
    [['training', 'fp16'], true, '"adamw_torch"\n', '"adamw_torch"\n  fp16: true\n'],
    [['base_model'], '${x.model}', '${base.model}', '${x.model}'],
    [['flow', 'a'], 2, 'a: 1', 'a: 2'],
    [['flow', 'c'], 'd', '[1, 2]}', '[1, 2], c: d}'],
    [['flow', 'a'], undefined, 'a: 1, ', ''],
    [['flow', 'b'], undefined, ', b: [1, 2]', ''],
    [['list'], ['z'], 'list:\n- x\n- y\n', 'list: [ z ]\n'],
    [['empty'], 3, 'empty:\n', 'empty: 3\n'],
    [['empty', 'deep'], 3, 'empty:\n', 'empty:\n  deep: 3\n'],
    [['text'], 'three\nfour\n', '|\n  one\n  two\n', '|\n  three\n  four\n'],
    [['text'], 'plain', '|\n  one\n  two\n', 'plain\n'],
    [['last'], undefined, 'last: 1', ''],
    [['new', 'deep'], 'a: b', 'last: 1', 'last: 1\nnew:\n  deep: "a: b"\n'],
    [['training', 'lora_r'], undefined, '  lora_r: 8   # rank\n', ''],
  ];
  for (const eol of ['\n', '\r\n']) {
    for (const [path, value, from, to] of cases) {
      const all = body.replaceAll('\n', eol);
      const got = withValue(all, path, value);
      assert.equal(got, all.replace(from.replaceAll('\n', eol), () => to.replaceAll('\n', eol)), `${path.join('.')} ${JSON.stringify(value)}`);
      assert.deepEqual(valueAt(valuesOf(got), path), value);
    }
  }
  assert.equal(withValue('', ['a', 'b'], 1), 'a:\n  b: 1\n');
  assert.equal(withValue('# nothing yet\n', ['a'], 'yes'), '# nothing yet\na: yes\n');
  assert.throws(() => withValue('a: [\n', ['a'], 1));
  assert.throws(() => withValue('a: 1\n', ['a', 'b'], 1), /no mapping/);
});

/** Numbers that a seed gives, so that a failure can be looked at again. */
function dice(seed: number): (n: number) => number {
  let s = seed;
  return (n) => {
    s = (s * 1664525 + 1013904223) >>> 0;
    return Math.floor((s / 2 ** 32) * n);
  };
}

test('whatever the cell, an edit by the form sets that value, leaves the others, and changes nothing outside the fence', () => {
  const words = ['a', 'lora_r', '${x.y}', 'yes', '1e-3', ' lead', 'two\nlines\n', '日本語', '# no', 'k: v', '', '- dash', '```', 'tail\n\n'];
  for (let seed = 1; seed <= 150; seed++) {
    const roll = dice(seed);
    const scalar = (): Plain => [roll(100), words[roll(words.length)]!, roll(2) === 1, roll(1000) / 7][roll(4)]!;
    const plain = (deep: number): Plain => {
      if (deep > 0 && roll(3) === 0) return Object.fromEntries(Array.from({ length: 1 + roll(4) }, (_, i) => [`k${i}`, plain(deep - 1)]));
      return roll(6) === 0 ? [scalar(), scalar()] : scalar();
    };
    const values = Object.fromEntries(Array.from({ length: roll(6) }, (_, i) => [`k${i}`, plain(2)]));
    let body = '';
    for (const [k, v] of Object.entries(values)) body = withValue(body, [k], v) + (roll(3) === 0 ? '# a comment\n' : '');
    assert.deepEqual(valuesOf(body) ?? {}, values, `seed ${seed}: ${body}`);
    const paths: string[][] = [];
    const walk = (v: Plain, path: string[]) => {
      if (path.length) paths.push(path);
      if (v !== null && typeof v === 'object' && !Array.isArray(v)) {
        for (const [k, w] of Object.entries(v)) walk(w, [...path, k]);
        paths.push([...path, 'new']);
      }
    };
    walk(values, []);
    const path = paths[roll(paths.length)]!;
    const value = roll(5) === 0 ? undefined : scalar();
    const got = withValue(body, path, value);
    const want = structuredClone(values) as { [k: string]: Plain };
    let at = want;
    for (const p of path.slice(0, -1)) at = at[p] as typeof want;
    if (value === undefined) delete at[path.at(-1)!];
    else at[path.at(-1)!] = value;
    const dropEmpty = (v: unknown): unknown => JSON.parse(JSON.stringify(v, (_, x: unknown) => (x !== null && typeof x === 'object' && !Array.isArray(x) && Object.keys(x).length === 0 ? null : x)));
    assert.deepEqual(dropEmpty(valuesOf(got)), dropEmpty(want), `seed ${seed}: ${path.join('.')} = ${JSON.stringify(value)} of\n${body}gave\n${got}`);
    for (const comment of body.match(/^# a comment$/gm) ?? []) assert.ok(got.includes(comment));
    const open = '```triality convert id=rows\n';
    const cell = withBody(`${open}x: 1\n\`\`\`\n`, body);
    const edited = withBody(cell, withValue(parts(cell).body, path, value));
    assert.equal(parts(edited).body.trimEnd(), withValue(parts(cell).body, path, value).trimEnd());
    assert.ok(parts(edited).open.endsWith('triality convert id=rows\n'));
  }
});

const finetune: Kind = {
  name: 'finetune', cost: 'costly', gives: [{ name: 'model', type: 'model' }],
  schema: {
    type: 'object', 'x-keys': ['base_model', 'training'],
    properties: {
      base_model: { type: 'string', 'x-takes': ['model'], description: 'what is fine-tuned' },
      training: {
        type: 'object', 'x-keys': ['lora_r', 'lr_scheduler_type', 'fp16'],
        properties: { lora_r: { type: 'integer', default: 16, minimum: 1, maximum: 65536, description: 'rank' }, lr_scheduler_type: { type: 'string', enum: ['cosine', 'linear'] }, fp16: { type: 'boolean' } },
      },
    },
  },
};
const input: Kind = { name: 'input', cost: 'free', gives: [{ name: 'value', type: 'value' }], schema: { type: 'object' } };

test('completion knows the section, the values of a key and what other cells give', () => {
  const cells = [{ id: 'base', kind: 'finetune' }, { id: 'tune', kind: 'finetune' }, { id: 'rank', kind: 'input' }];
  const of = (text: string) => {
    const caret = text.indexOf('|');
    return offers(text.replace('|', ''), caret, finetune, 'tune', cells, [finetune, input]).list.map((o) => o.text);
  };
  assert.deepEqual(of('|'), ['base_model: ', 'training:']);
  assert.deepEqual(of('base_model: x\n|'), ['training:']);
  assert.deepEqual(of('base_model: |'), ['${base.model}']);
  assert.deepEqual(of('training:\n  l|'), ['lora_r: ', 'lr_scheduler_type: ']);
  assert.deepEqual(of('training:\n  lora_r: 4\n  l|\nbase_model: x'), ['lr_scheduler_type: ']);
  assert.deepEqual(of('training:\n  lr_scheduler_type: |'), ['cosine', 'linear', '${rank.value}']);
  assert.deepEqual(of('training:\n  lora_r: |'), ['${rank.value}']);
  assert.deepEqual(of('training:\n  nothing: |'), []);
  assert.deepEqual(placeAt('training:\n\n  lora_r: 8', 14).path, ['training']);
  assert.equal(helpAt('training:\n  lora_r: 8', 13, finetune)?.schema.description, 'rank');
  assert.equal(helpAt('nothing: 1', 2, finetune), undefined);
});
