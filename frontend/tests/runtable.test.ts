import assert from 'node:assert/strict';
import { test } from 'node:test';
import { moved, pinnedFirst, primaryOf, Titles, usualColumns } from '../src/runs/columns.ts';
import { command, type Key } from '../src/runs/keys.ts';
import { lay } from '../src/runs/layout.ts';
import { differences, namingKeys, unnamed } from '../src/runs/naming.ts';
import { both, columnOfKey, equals, oneOf, orderBy, rowsOf, searchKey, type Facet, type Facets, type SearchPage } from '../src/runs/search.ts';
import { highest, reveal, slots, viewport, type Slot } from '../src/runs/virtual.ts';

const facet = (kind: Facet['kind'], name: string, distinct = 5, varies = distinct > 1): Facet => ({ key: '', kind, name, runs: 5, distinct, varies });
const facets = (...items: Facet[]): Facets => ({ items, total: 5 });

test('a column is a key whatever its name holds', () => {
  assert.equal(searchKey('metric:eval/f1'), 'metrics.`eval/f1`');
  assert.equal(searchKey('param:a `b` c = 1'), 'params.`a ``b`` c = 1`');
  assert.equal(searchKey('tag:x:y'), 'tags.`x:y`');
  assert.equal(searchKey('best:eval/f1'), 'best(metrics.`eval/f1`)');
  assert.equal(searchKey('least:a'), 'min(metrics.`a`)');
  assert.deepEqual(orderBy([{ key: 'attribute:duration', descending: true }, { key: 'metric:a b', descending: false }]), ['attributes.`duration` DESC', 'metrics.`a b` ASC']);
  assert.equal(columnOfKey('metrics.eval/f1'), 'metric:eval/f1');
  assert.equal(columnOfKey('params.`a ``b`` = 1`'), 'param:a `b` = 1');
  assert.equal(columnOfKey('nonsense'), undefined);
});

test('the filter of a group finds its runs: numbers as numbers, texts quoted, a missing value as missing', () => {
  assert.equal(equals('param:lr', '1e-4'), 'params.`lr` = 1e-4');
  assert.equal(equals('param:base', "it's"), "params.`base` = 'it''s'");
  assert.equal(equals('param:base', ''), "params.`base` = ''");
  assert.equal(equals('param:lr', undefined), 'params.`lr` IS NULL');
  assert.equal(both('a OR b', 'c'), '(a OR b) AND c');
  assert.equal(both(' ', 'c'), 'c');
  assert.equal(oneOf(['a', "b'"]), "attributes.id IN ('a', 'b''')");
});

test('the usual columns are those that vary, the primary metric first, the whole before its classes', () => {
  const f = facets(
    facet('metric', 'abtest/b/f1/ALLOW'), facet('metric', 'abtest/b/f1/DENY'), facet('metric', 'abtest/b/macro_f1'), facet('metric', 'eval/loss'),
    facet('metric', 'same', 1), facet('metric', 'train/lr'), facet('metric', 'eval/accuracy'),
    facet('param', 'seed', 50), facet('param', 'lora_r', 3), facet('param', 'fixed', 1), facet('param', 'note', 1, true), facet('param', 'lr', 4),
  );
  assert.deepEqual(usualColumns(f, false).map((c) => c.key), [
    'attribute:status', 'metric:abtest/b/macro_f1', 'param:lora_r', 'param:lr', 'param:seed', 'param:note',
    'metric:eval/accuracy', 'metric:eval/loss', 'metric:abtest/b/f1/ALLOW', 'attribute:started', 'attribute:duration',
  ]);
  assert.ok(usualColumns(f, true).some((c) => c.key === 'attribute:experiment'));
  assert.equal(primaryOf({ ...f, primary: 'metrics.eval/loss' }), 'metric:eval/loss');
  assert.equal(primaryOf({ ...f, primary: 'metrics.gone' }), 'metric:abtest/b/macro_f1');
  assert.equal(primaryOf(facets(facet('metric', 'train/loss', 1), facet('metric', 'eval/f1', 1))), 'metric:eval/f1');
  assert.equal(primaryOf(facets()), undefined);
});

test('titles are as short as they may be without meaning two columns', () => {
  const titles = new Titles([facet('metric', 'eval/f1'), facet('metric', 'train/loss'), facet('metric', 'eval/loss'), facet('param', 'training.lr'), facet('metric', 'x')]);
  assert.equal(titles.of('metric:eval/f1'), 'f1');
  assert.equal(titles.of('metric:eval/loss'), 'eval/loss');
  assert.equal(titles.of('param:training.lr'), 'lr');
  assert.equal(titles.of('metric:x'), 'x');
});

test('columns move, and the pinned ones stay before the others', () => {
  const list = (['metric:a', 'metric:b', 'metric:c', 'metric:d'] as const).map((key) => ({ key }));
  const order = (key: (typeof list)[number]['key'], to: number) => moved(list, key, to).map((c) => c.key.slice(-1)).join('');
  assert.deepEqual([order('metric:a', 2), order('metric:d', 0), order('metric:b', 4), order('metric:b', -1), order('metric:c', 2)], ['bacd', 'dabc', 'acdb', 'bacd', 'abcd']);
  assert.deepEqual(pinnedFirst([{ key: 'metric:a' }, { key: 'metric:b', pinned: true }]).map((c) => c.key), ['metric:b', 'metric:a']);
});

test('a run is named by what differs unless a person named it', () => {
  const f = facets(facet('param', 'training.seed', 2), facet('param', 'lora_r', 4), facet('param', 'training.learning_rate', 5), facet('param', 'base', 1), facet('param', 'path', 300), facet('metric', 'f1', 9));
  const keys = namingKeys(f);
  assert.deepEqual(keys, ['param:lora_r', 'param:training.learning_rate', 'param:path']);
  const values: Record<string, unknown> = { 'param:lora_r': '8', 'param:training.learning_rate': '0.0002', 'param:path': 'models/qwen/base/' };
  assert.equal(differences(keys, (k) => values[k]), 'lora_r=8 · lr=2e-4 · path=base');
  assert.equal(differences(keys, () => null), '');
  for (const name of ['', 'id7', '2026-11-30 15:04:05', '2026-11-30T15:04']) assert.ok(unnamed({ id: 'id7', name }), name);
  for (const name of ['my run', '2026-11-30 15:04:05 again', '7']) assert.ok(!unnamed({ id: 'id7', name }), name);
});

test('rows in view are found by one division, and any row can be reached', () => {
  for (const total of [0, 1, 50, 20_000, 5_000_000]) {
    for (const share of [0, 0.3, 0.75, 1]) {
      const whole = Math.min(total * 28, highest);
      const v = viewport(total, 28, Math.max(0, whole - 700) * share, 700);
      assert.ok(v.first >= 0 && v.last <= total && v.first <= v.last);
      assert.ok(Math.abs(v.above + (v.last - v.first) * 28 + v.below - Math.max(whole, 0)) < 700, `${total} ${share} ${JSON.stringify(v)}`);
      if (share === 1) assert.equal(v.last, total);
    }
  }
  assert.deepEqual([viewport(20_000, 28, 15_000 * 28, 700).first, viewport(20_000, 28, 15_000 * 28, 700).above], [14_992, 14_992 * 28]);
  assert.equal(reveal(5, 100, 28, 0, 700), undefined);
  assert.equal(reveal(5, 100, 28, 1000, 700), 140);
  assert.equal(reveal(99, 100, 28, 0, 700), 2100);
});

test('of many columns those in view are laid out, and the rest keeps its width', () => {
  const columns = Array.from({ length: 12_000 }, (_, i) => ({ key: `metric:m${i}` as const, ...(i < 2 ? { pinned: true } : {}) }));
  const laid = lay(columns, 300, { width: () => 100, number: () => true, range: () => undefined }, 500_000, 1200);
  assert.ok(laid.visible.length < 30);
  assert.equal(laid.width, 300 + 1_200_000);
  assert.equal(300 + 200 + laid.before + laid.visible.length * 100 + laid.after, laid.width);
  assert.ok(laid.visible[0]!.left <= 500_500 && laid.visible.at(-1)!.left >= 501_100);
});

test('keys: none while an input method composes, none in a field of text, letters only where they are wanted', () => {
  const key = (k: string, more: Partial<Key> = {}): Key => ({ key: k, isComposing: false, keyCode: 0, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...more });
  assert.deepEqual(command(key('j'), 'elsewhere', true, 10), { do: 'move', by: 1, extend: false });
  assert.deepEqual(command(key('J', { shiftKey: true }), 'elsewhere', true, 10), { do: 'move', by: 1, extend: true });
  for (const k of ['j', 'x', '/', 'Escape', 'Enter', 'ArrowDown']) {
    assert.equal(command(key(k, { isComposing: true }), 'elsewhere', true, 10), undefined, k);
    assert.equal(command(key(k, { keyCode: 229 }), 'elsewhere', true, 10), undefined, k);
    assert.equal(command(key(k), 'text', true, 10), undefined, k);
    assert.equal(command(key(k, { altKey: true }), 'elsewhere', true, 10), undefined, k);
  }
  assert.equal(command(key('j'), 'elsewhere', false, 10), undefined);
  assert.deepEqual(command(key('ArrowDown'), 'elsewhere', false, 10), { do: 'move', by: 1, extend: false });
  assert.equal(command(key('Enter'), 'control', true, 10), undefined);
  assert.equal(command(key('r', { ctrlKey: true }), 'elsewhere', true, 10), undefined);
});

test('a page of runs becomes rows with their values in the order asked', () => {
  const page = {
    items: [
      { id: 'a', name: 'x', experiment_id: 'e', experiment: 'E', status: 'failed', created_at: '1970-01-01T00:00:00.001Z', values: { m: 1 } },
      { id: 'b', name: '', experiment_id: 'e', experiment: 'E', status: 'finished', created_at: '1970-01-01T00:00:00.002Z', started_at: '1970-01-01T00:00:00.005Z', archived: true, values: { p: 'x', m: 'NaN' } },
    ], columns: ['m', 'p'], total: 2, next_cursor: '', notes: [],
  } as SearchPage;
  assert.deepEqual(rowsOf(page).map((r) => [r.id, r.created, r.started, r.archived, r.values]), [['a', 1, null, false, [1, null]], ['b', 2, 5, true, ['NaN', 'x']]]);
});

test('rows that stay in view keep their slots, and a slot whose row left takes one that came', () => {
  let now: Slot[] = [];
  const ids = () => now.map((s) => s.id);
  let seed = 1;
  const random = (n: number) => (seed = (seed * 48271) % 2147483647) % n;
  now = slots(now, 0, 20);
  assert.deepEqual(ids(), Array.from({ length: 20 }, (_, i) => i));
  for (let i = 0; i < 300; i++) {
    const first = random(i % 3 ? 40 : 5000);
    const last = first + 10 + random(20);
    const before = now;
    now = slots(before, first, last);
    assert.deepEqual(now.map((s) => s.row), Array.from({ length: last - first }, (_, k) => first + k));
    assert.equal(new Set(ids()).size, now.length);
    for (const s of before) if (s.row >= first && s.row < last) assert.ok(now.includes(s), 'the row in view changed its slot');
    const known = before.map((s) => s.id);
    const kept = before.filter((s) => s.row >= first && s.row < last);
    assert.equal(ids().filter((id) => !known.includes(id)).length, Math.max(0, now.length - before.length), 'a slot was made while others were free');
    // What is far from what was shown moves no element.
    if (!kept.length) assert.deepEqual(ids().filter((id) => known.includes(id)), known.slice(0, now.length));
  }
  assert.deepEqual(slots(now, 7, 7), []);
});
