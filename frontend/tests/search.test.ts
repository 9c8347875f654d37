import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joined, mostCompared, orderBy, readView, searchKey, usualColumns, usualSort, viewQuery, type Facet } from '../src/lib/search.ts';

const facet = (kind: Facet['kind'], name: string, distinct = 5, varies = distinct > 1): Facet => ({ kind, name, runs: 5, distinct, varies });

test('a column is a key whatever its name holds', () => {
  assert.equal(searchKey('metric:eval/f1'), 'metrics.`eval/f1`');
  assert.equal(searchKey('param:a `b` c = 1'), 'params.`a ``b`` c = 1`');
  assert.equal(searchKey('tag:x:y'), 'tags.`x:y`');
  assert.deepEqual(orderBy({ column: 'duration', descending: true }), ['attributes.duration DESC']);
  assert.deepEqual(orderBy({ column: 'metric:a b', descending: false }), ['metrics.`a b` ASC']);
});

test('the usual columns are those that vary, the whole before its classes, parameters of few values first', () => {
  const facets = [
    facet('metrics', 'abtest/b/f1/ALLOW'), facet('metrics', 'abtest/b/f1/DENY'), facet('metrics', 'abtest/b/macro_f1'), facet('metrics', 'eval/loss'),
    facet('metrics', 'same', 1), facet('metrics', 'train/lr'), facet('metrics', 'eval/accuracy'),
    facet('params', 'seed', 50), facet('params', 'lora_r', 3), facet('params', 'fixed', 1), facet('params', 'note', 1, true), facet('params', 'lr', 4),
  ];
  assert.deepEqual(usualColumns(facets), [
    'metric:abtest/b/macro_f1', 'metric:eval/accuracy', 'metric:eval/loss', 'metric:abtest/b/f1/ALLOW', 'param:lora_r', 'param:lr', 'param:seed',
  ]);
  assert.deepEqual(usualColumns([facet('metrics', 'train/loss', 1), facet('metrics', 'eval/f1', 1)]), ['metric:eval/f1']);
});

test('the chosen status holds for the whole of a filter', () => {
  assert.equal(joined('a OR b', 'failed'), '(a OR b) AND status = failed');
  assert.equal(joined(' ', 'failed'), 'status = failed');
  assert.equal(joined('a', ''), 'a');
});

test('a view comes back from its address', () => {
  const view = { filter: 'a = "b c" & d', status: 'failed', sort: { column: 'metric:eval/f1', descending: true }, compare: ['x', 'y'] };
  assert.deepEqual(readView(viewQuery(view)), view);
  assert.equal(viewQuery({ filter: '', status: '', sort: usualSort, compare: [] }), '');
  assert.deepEqual(readView('?sort=nonsense').sort, usualSort);
});

test('an address never grows with the selection', () => {
  const compare = Array.from({ length: 5000 }, (_, i) => `019ad000-0000-7000-8000-${i}`);
  assert.equal(viewQuery({ filter: '', status: '', sort: usualSort, compare }), '');
  assert.ok(viewQuery({ filter: '', status: '', sort: usualSort, compare: compare.slice(0, mostCompared) }).length < 2500);
});
