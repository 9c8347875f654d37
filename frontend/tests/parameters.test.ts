import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonical, collect, initial, parse } from '../src/lib/parameters.ts';
import { sortSamples } from '../src/lib/samples.ts';
import { columnKeys, hasABTest, moduleLabels, sampleColumns, seriesLabel, withResult } from '../src/lib/trials.ts';
import type { ModuleResult, Parameter, Run, Sample } from '../src/lib/types.ts';

const p = (type: Parameter['type'], more: Partial<Parameter> = {}): Parameter => ({ name: 'p', type, ...more });

test('a field begins with the default, as it may be typed', () => {
  assert.equal(initial(p('number', { default: 1e-15 })), '1e-15');
  assert.equal(initial(p('number')), '');
  assert.equal(initial(p('boolean')), false);
  assert.equal(initial(p('boolean', { default: true })), true);
  assert.equal(initial(p('string', { default: 'none' })), 'none');
  assert.equal(initial(p('numbers', { default: [0, 1.5, -2] })), '0, 1.5, -2');
  assert.equal(initial(p('numbers', { default: [] })), '[]');
});

test('the text of every default gives the default back', () => {
  for (const q of [
    p('number', { default: 1e-300 }), p('number', { default: -0.1 }), p('integer', { default: 2 ** 53 }),
    p('boolean', { default: false }), p('string', { default: ' two\nlines ' }), p('string', { default: '' }),
    p('numbers', { default: [] }), p('numbers', { default: [1e21, -3, 0.25] }),
  ]) {
    assert.deepEqual(parse(q, initial(q)), { value: q.default }, JSON.stringify(q));
  }
});

test('numbers are read as JSON writes them, and as a Japanese keyboard does', () => {
  for (const [text, value] of [
    ['0.5', 0.5], ['-3', -3], ['+2', 2], ['.5', 0.5], ['5.', 5], [' 1e-3 ', 0.001], ['1E3', 1000],
    ['０．２５', 0.25], ['－１', -1], ['−7', -7], ['-0', 0],
  ] as const) {
    assert.deepEqual(parse(p('number'), text), { value }, text);
  }
  assert.ok(Object.is((parse(p('number'), '-0') as { value: number }).value, 0));
});

test('what is no number is told with its text', () => {
  for (const text of ['abc', '1,5', '1 2', '0x10', 'NaN', 'Infinity', '1e999', '--1', '.', 'e3', '1_000', '五']) {
    assert.deepEqual(parse(p('number'), text), { problem: { key: 'try.notNumber', args: { text } } }, text);
  }
});

test('a whole number is one that a float holds exactly', () => {
  assert.deepEqual(parse(p('integer'), '1e3'), { value: 1000 });
  for (const text of ['1.5', '1e300']) {
    assert.deepEqual(parse(p('integer'), text), { problem: { key: 'try.notInteger', args: { text } } });
  }
});

test('the range holds for a number and for each of a list, its ends included', () => {
  const range = { min: 0, max: 1 };
  assert.deepEqual(parse(p('number', range), '1'), { value: 1 });
  assert.deepEqual(parse(p('number', range), '-0.1'), { problem: { key: 'try.tooSmall', args: { text: '-0.1', min: '0' } } });
  assert.deepEqual(parse(p('numbers', range), '0, 1, 2'), { problem: { key: 'try.tooLarge', args: { text: '2', max: '1' } } });
});

test('lists take commas, spaces, lines, semicolons, brackets and Japanese commas', () => {
  for (const text of ['1, 2,3', '1 2 3', '1\n2\n3', '[1,2,3]', '1;2; 3', '１、２、３', '1，2，3,']) {
    assert.deepEqual(parse(p('numbers'), text), { value: [1, 2, 3] }, text);
  }
  assert.deepEqual(parse(p('numbers'), '[]'), { value: [] });
  assert.deepEqual(parse(p('numbers'), '1, x'), { problem: { key: 'try.notNumber', args: { text: 'x' } } });
});

test('an empty field is the default, and a problem where there is none; an empty text is a text', () => {
  assert.deepEqual(parse(p('number', { default: 2 }), ' '), { value: 2 });
  assert.deepEqual(parse(p('numbers', { default: [1] }), ''), { value: [1] });
  for (const type of ['number', 'integer', 'numbers'] as const) {
    assert.deepEqual(parse(p(type), ''), { problem: { key: 'try.mustSet' } });
  }
  assert.deepEqual(parse(p('string', { default: 'x' }), ''), { value: '' });
});

test('only what differs from its default is sent', () => {
  const parameters: Parameter[] = [
    { name: 'limit', type: 'number', default: 200, min: 0 },
    { name: 'cost', type: 'numbers', default: [0, 1] },
    { name: 'by', type: 'string', default: 'domain' },
    { name: 'strict', type: 'boolean', default: true },
    { name: 'must', type: 'integer' },
  ];
  assert.deepEqual(collect(parameters, { limit: '200.0', cost: '0 1', by: 'domain', strict: true, must: '0' }), { params: { must: 0 }, problems: {} });
  assert.deepEqual(collect(parameters, { limit: '150', cost: '[1,0]', by: '', strict: false, must: '3' }).params, { limit: 150, cost: [1, 0], by: '', strict: false, must: 3 });
  assert.deepEqual(Object.keys(collect(parameters, { limit: '-1', must: '' }).problems), ['limit', 'must']);
});

const result = (sha256: string, more: Partial<ModuleResult> = {}): ModuleResult => ({ name: 'm', version: '1', sha256, wall_ms: 1, ...more });

test('a result takes the place of one of the same module and parameters, whatever their order', () => {
  const list = [result('a'), result('b', { params: { x: 1, y: [1, 2] }, error: 'too slow' }), result('b')];
  assert.equal(canonical({ x: 1, y: { b: 2, a: 1 } }), canonical({ y: { a: 1, b: 2 }, x: 1 }));
  const same = result('b', { params: { y: [1, 2], x: 1 } });
  assert.deepEqual(withResult(list, same), [list[0], same, list[2]]);
  const none = result('a', { params: {} });
  assert.deepEqual(withResult(list, none), [none, list[1], list[2]]);
  const other = result('b', { params: { x: 1, y: [2, 1] } });
  assert.deepEqual(withResult(list, other), [...list, other]);
});

test('per-sample outputs are columns with labels that tell them apart', () => {
  const out = (name: string, kind: string, n: number) => ({ name, kind, direction: 'none', values: Array.from({ length: n }, (_, i) => i) });
  const modules = [
    result('a', { name: 'brier', outputs: [out('score', 'scalar', 1), out('row', 'column', 3), out('short', 'column', 2), out('list', 'vector', 3)] }),
    result('b', { name: 'loss', outputs: [out('row', 'column', 3), out('only', 'column', 3)] }),
    result('b', { name: 'loss', params: { eps: 0.1 }, outputs: [out('row', 'column', 3)] }),
    result('c', { name: 'slow', error: 'it was stopped' }),
  ];
  const got = sampleColumns(modules, 3);
  assert.deepEqual(got.map((c) => c.label), ['row · brier', 'row · loss eps=default', 'only', 'row · loss eps=0.1']);
  assert.equal(new Set(got.map((c) => c.key)).size, 4);
  assert.deepEqual(columnKeys(modules[2]!), [got[3]!.key]);
});

test('results shown together are told apart by what differs, as in experiments.ModuleLabels', () => {
  const list = [
    result('a'.repeat(64)), result('a'.repeat(64), { version: '2' }), result('a'.repeat(64), { params: { n: 1 } }), result('b'.repeat(64)),
  ];
  assert.deepEqual(moduleLabels(list), ['m 1 aaaaaaaaaa n=default', 'm 2', 'm 1 aaaaaaaaaa n=1', 'm 1 bbbbbbbbbb']);
  const long = 'x'.repeat(50);
  assert.equal(new Set(moduleLabels([result('a', { params: { s: `${long}1` } }), result('a', { params: { s: `${long}2` } })])).size, 2);
  assert.deepEqual(withResult([result('a', { key: '1' })], result('a', { key: '2' })).length, 2);
  const labels = new Map([['0123456789abcdef', 'm n=1']]);
  assert.equal(seriesLabel('abtest/metric/m/0123456789abcdef/x.A', labels), 'x.A · m n=1');
  assert.equal(seriesLabel('abtest/metric/m/fedcba9876543210/x.A', labels), 'x.A · m fedcba98');
  assert.equal(seriesLabel('abtest/metric/m/x.A'), 'abtest/metric/m/x.A'); // of before there were keys
  assert.equal(seriesLabel('train/loss', labels), 'train/loss');
});

test('samples are sorted by a figure, and those without one come last', () => {
  const samples = [1, null, 3, 2, 3].map((latency_a_ms, index) => ({ index, latency_a_ms }) as Sample);
  const order = (descending: boolean) => sortSamples(samples, (s) => s.latency_a_ms, descending).map((s) => s.index);
  assert.deepEqual(order(false), [0, 3, 2, 4, 1]);
  assert.deepEqual(order(true), [2, 4, 3, 0, 1]);
});

test('a run tells by its steps whether it has an A/B test; one without steps does not tell', () => {
  const run = (steps?: [string, string][]) => ({ steps: steps?.map(([kind, status]) => ({ kind, status, key: '' })) }) as Run;
  assert.equal(hasABTest(run()), undefined);
  assert.equal(hasABTest(run([['finetune', 'finished'], ['abtest', 'reused']])), true);
  assert.equal(hasABTest(run([['abtest', 'failed']])), false);
});
