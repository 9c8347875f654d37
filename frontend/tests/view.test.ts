import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asView, longestAddress, readView, usualView, viewQuery, type RunView } from '../src/runs/view.ts';

const full: RunView = {
  filter: 'a = "b c" & d + 50% ~', order: [{ key: 'best:eval/f1', descending: true }, { key: 'param:a,b~c', descending: false }],
  columns: [{ key: 'metric:eval/f1', width: 120, pinned: true }, { key: 'param:a,b~c&d', pinned: true }, { key: 'tag:x:y', width: 80 }, { key: 'attribute:status' }],
  group: 'param:l r,~', baseline: 'r1', hidden: ['r2', 'r3'], shown: ['r4'], archived: 'also', layout: 'table', nameWidth: 320, density: 'comfortable', panels: [{ metric: 'eval/f1', x: 'a&b=c,~' }], charts: { x: 'time', log: true },
};

test('a view comes back from its address whatever its names hold', () => {
  assert.deepEqual(readView(viewQuery(full, ['x', 'y'], 'v1')), { view: full, selected: ['x', 'y'], saved: 'v1' });
  assert.equal(viewQuery(usualView()), '');
  assert.deepEqual(readView(viewQuery({ ...usualView(), columns: [] })).view.columns, []);
});

test('an address stays short whatever is hidden, selected and arranged', () => {
  const ids = Array.from({ length: 5000 }, (_, i) => `019ad000-0000-7000-8000-${i}`);
  const q = viewQuery({ ...full, hidden: ids, panels: ids }, ids);
  assert.ok(q.length <= longestAddress);
  assert.equal(readView(q).view.filter, full.filter);
});

test('an address of before and one that is damaged give a view', () => {
  assert.deepEqual(readView('?sort=-metric:eval/f1&status=failed&filter=a+OR%20b').view, {
    ...usualView(), filter: '(a OR b) AND status = failed', order: [{ key: 'metric:eval/f1', descending: true }],
  });
  assert.deepEqual(readView('?sort=-duration').view.order, [{ key: 'attribute:duration', descending: true }]);
  for (const q of ['?order=nonsense,:,metric:&columns=&group=x&density=7&panels=%7B&hidden=', '?filter', '?panels={}', '?&&=']) {
    assert.deepEqual(readView(q).view, usualView(), q);
  }
  assert.equal(readView('?filter=100%').view.filter, '100%');
});

test('a saved view that someone else wrote is read field by field', () => {
  assert.deepEqual(asView(JSON.parse(JSON.stringify(full))), full);
  for (const kept of [null, 7, [], { order: [], hidden: 'x', columns: 3, density: 'x', panels: {}, group: 'x', filter: 1 }, { order: [null, { key: 'x' }] }]) {
    assert.deepEqual(asView(kept), usualView(), JSON.stringify(kept));
  }
});
