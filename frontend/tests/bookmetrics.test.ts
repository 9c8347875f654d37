import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guideOf } from '../src/book/cells.ts';
import { takesModules, withMetric } from '../src/book/metrics.ts';
import { valueAt, valuesOf, type Plain } from '../src/book/yamledit.ts';

const sha256 = 'ab'.repeat(32);
const module = { sha256, name: 'worst_group', version: '1.0.0' };
const modules = (body: string) => (valueAt(valuesOf(body), ['test', 'metrics']) as { module: Plain }[]).map((m) => m.module);

test('a metric that is dropped on an A/B test is one item more in its list, and no other byte changes', () => {
  // Where the new item stands is marked by @; it is what stands there that differs.
  const line = `- module: ${sha256} # worst_group 1.0.0`;
  const cases: [string, string][] = [
    ['model_a: a # one\ntest:\n  metrics:\n  - module: x.wasm\n@max_length: 160\n', `  ${line}\n`],
    ['test:\n    metrics:\n        - module: x.wasm\n          params: {k: 1}\n          slices:\n          - class\n@\n# the end\n', `        ${line}\n`],
    ['test:\n  metrics:\n  - module: x.wasm # its comment\n@  warmup: 0\n', `  ${line}\n`],
    ['test:\n  metrics:\n  - module: x.wasm@', `\n  ${line}\n`],
    ['test: {metrics: [{module: x.wasm}@], warmup: 0}\n', `, { module: ${sha256} }`],
    ['test:\n  metrics: [x, @]\n'.replace('x', '{module: x.wasm}').replace(', @', ',@'), ` { module: ${sha256} }`],
    ['test:\n  metrics: [@]\n', `{ module: ${sha256} }`],
    ['test:\n  metrics: [\n    {module: x.wasm}@\n  ]\n', `, { module: ${sha256} }`],
    ['test:\n  warmup: 0\n@max_length: 160\n', `  metrics: [ { module: ${sha256} } ]\n`],
    ['model_a: a\n@', `test:\n  metrics: [ { module: ${sha256} } ]\n`],
    ['test:\n  metrics:@ # none yet\n', ` [ { module: ${sha256} } ]`],
  ];
  for (const eol of ['\n', '\r\n']) {
    for (const [marked, added] of cases) {
      const body = marked.replace('@', '').replaceAll('\n', eol);
      const got = withMetric(body, 'abtest', module)!;
      assert.equal(got, marked.replace('@', () => added).replaceAll('\n', eol));
      assert.equal(modules(got).at(-1), sha256);
      assert.equal(withMetric(got, 'abtest', module), undefined, 'a second time nothing changes');
    }
  }
});

test('a list with a comment behind its last item keeps the comment', () => {
  for (const comma of ['', ',']) {
    const got = withMetric(`test:\n  metrics: [\n    {module: x.wasm}${comma} # mine\n  ]\n`, 'abtest', module)!;
    assert.equal(got, `test:\n  metrics: [\n    {module: x.wasm}, # mine\n    { module: ${sha256} }\n  ]\n`);
    assert.deepEqual(modules(got), ['x.wasm', sha256]);
  }
});

test('what is no list is not written over', () => {
  assert.throws(() => withMetric('test:\n  metrics: 3\n', 'abtest', module), /test\.metrics: no list/);
  assert.throws(() => withMetric('a: &m [{module: x}]\ntest:\n  metrics: *m\n', 'abtest', module), /an alias/);
  assert.throws(() => withMetric('test: [\n', 'abtest', module));
});

test('a metric that is dropped on a metric cell takes the place of its own', () => {
  const body = 'result: ${ab.result}\nmetric:\n  module: wasm-metrics/dist/mcc.wasm # ours\n  slices: [language]\n';
  assert.equal(withMetric(body, 'metric', module), body.replace('wasm-metrics/dist/mcc.wasm', sha256));
  assert.equal(withMetric(body.replace('wasm-metrics/dist/mcc.wasm', sha256), 'metric', module), undefined);
  assert.deepEqual(['abtest', 'metric', 'convert', undefined].map(takesModules), [true, true, false, false]);
});

test('a name that would end the comment or the line is left out', () => {
  const got = withMetric('test:\n  metrics:\n  - module: x\n', 'abtest', { ...module, name: 'a\nmodel_b: c' })!;
  assert.equal(got, `test:\n  metrics:\n  - module: x\n  - module: ${sha256}\n`);
});

test('the guide is the first notebook, in the language where there is one', () => {
  const names = ['first.ja.md', 'first.md', 'other.md'];
  assert.equal(guideOf(names, 'ja'), 'first.ja.md');
  assert.equal(guideOf(names, 'en'), 'first.md');
  assert.equal(guideOf(['first.md'], 'ja'), 'first.md');
  assert.equal(guideOf(['other.md'], 'ja'), undefined);
});
