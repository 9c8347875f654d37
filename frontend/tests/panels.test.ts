import assert from 'node:assert/strict';
import { test } from 'node:test';
import { colourOf } from '../src/panels/palette.ts';
import { ticks, yRange } from '../src/panels/range.ts';
import { add, fromAnswer, lastAt, thin, valueAt, type Series } from '../src/panels/series.ts';
import { changed, emptyView, moved, pinnedSection, readPanels, readView, sections, writeView } from '../src/panels/spec.ts';
import { questions } from '../src/panels/store.ts';
import { meanOf, trace, type Trace } from '../src/panels/traces.ts';

const ink = colourOf(0, false);
const series = (n: number, f: (i: number) => number, step = 1): Series => ({
  steps: Array.from({ length: n }, (_, i) => i * step), times: Array.from({ length: n }, (_, i) => 1000 + 10 * i),
  values: Array.from({ length: n }, (_, i) => f(i)), total: n,
});
const line = (key: string, n: number, f: (i: number) => number): Trace => trace({ key, name: key, ink, series: series(n, f) }, 'step', false, 0);

test('one diverged run does not flatten the rest, and is said', () => {
  const good = Array.from({ length: 9 }, (_, k) => line(`g${k}`, 100, (i) => 2 * Math.exp(-i / 30) + 0.1 * k));
  const bad = line('bad', 100, (i) => 2 + i ** 3);
  const r = yRange([...good, bad], false, false);
  assert.ok(r.max < 4, String(r.max));
  assert.deepEqual(r.outside, ['bad']);
  assert.ok(yRange([...good, bad], false, true).max > 900_000);
  assert.deepEqual(yRange([good[0]!, bad], false, false).outside, ['bad'], 'of two runs too');
  assert.deepEqual(yRange([line('a', 100, (i) => -i), line('b', 100, (i) => -1e6 * i)], false, false).outside, ['b'], 'downwards too');
});

test('a spike within a run is outside, its first steep steps are not, and a range that is asked for is that of what it holds', () => {
  assert.deepEqual(yRange([line('a', 1000, (i) => (i === 500 ? 1e9 : Math.sin(i)))], false, false).outside, ['a']);
  assert.deepEqual(yRange([line('a', 1000, (i) => 10 * Math.exp(-i / 100))], false, false).outside, []);
  const r = yRange([line('a', 100, (i) => i)], false, false, 40, 50);
  assert.ok(r.min > 39 && r.max < 51);
  assert.deepEqual(yRange([line('a', 5, () => NaN)], false, false), { min: 0, max: 1, outside: [] });
  const flat = yRange([line('a', 5, () => 3)], false, false);
  assert.ok(flat.min < 3 && flat.max > 3);
});

test('a log axis drops what is not above zero and counts it, and its ticks are powers', () => {
  const t = trace({ key: 'a', name: 'a', ink, series: series(4, (i) => [1, 0, -1, 100][i]!) }, 'step', true, 0);
  assert.deepEqual(t.y.map(Number.isFinite), [true, false, false, true]);
  assert.equal(t.dropped, 2);
  const r = yRange([t], true, false);
  assert.ok(r.min > 0 && r.min < 1 && r.max > 100);
  assert.deepEqual(ticks(0.5, 2000, 6, true), [1, 10, 100, 1000]);
  assert.deepEqual(ticks(0.9, 12, 6, true), [1, 2, 5, 10]);
  assert.deepEqual(ticks(0, 1, 4), [0, 0.25, 0.5, 0.75, 1]);
  assert.ok(ticks(0.99912, 0.99934, 5).length >= 3);
  assert.deepEqual(ticks(1, 1, 5), []);
});

test('NaN and infinities are gaps that are marked, and smoothing passes over them', () => {
  const t = trace({ key: 'a', name: 'a', ink, series: series(6, (i) => [1, NaN, NaN, 2, Infinity, 3][i]!) }, 'step', false, 0.5);
  assert.deepEqual(t.odd, [{ x: 1, value: NaN }, { x: 4, value: Infinity }]);
  assert.deepEqual(t.y.map(Number.isFinite), [true, false, false, true, false, true]);
  assert.deepEqual(t.raw!.map(Number.isFinite), t.y.map(Number.isFinite));
});

test('x may be time, time since the start or another metric, in order of it', () => {
  const s = series(3, (i) => i);
  assert.deepEqual(trace({ key: '', name: '', ink, series: s }, 'relative', false, 0).x, [0, 0.01, 0.02]);
  assert.deepEqual(trace({ key: '', name: '', ink, series: s }, 'time', false, 0).x, s.times);
  const along: Series = { steps: [0, 2], times: [0, 0], values: [5, 1], total: 2 };
  const t = trace({ key: '', name: '', ink, series: s, along }, 'metric:lr', false, 0);
  assert.deepEqual([t.x, t.y], [[1, 3, 5], [2, 1, 0]]);
  assert.deepEqual(trace({ key: '', name: '', ink, series: s }, 'epoch', false, 0).x, [], 'a run without that metric has no line');
});

test('the mean of a group is of the lines between their points, with the deviation as band, and leaves out what has ended', () => {
  const a: Trace = { key: 'a', name: 'a', ink, x: [0, 10], y: [0, 10], odd: [], dropped: 0 };
  const b: Trace = { key: 'b', name: 'b', ink, x: [0, 5], y: [2, 7], odd: [], dropped: 0 };
  const m = meanOf([a, b], 'g', 'g', ink);
  assert.deepEqual(m.x, [0, 5, 10]);
  assert.deepEqual(m.y, [1, 6, 10]);
  assert.deepEqual(m.count, [2, 2, 1]);
  assert.ok(Math.abs(m.high![0]! - 1 - Math.SQRT2) < 1e-9);
});

test('live points stand in their place, those that are there are left out', () => {
  const s = series(3, (i) => i);
  assert.ok(add(s, 3, 1030, 3));
  assert.ok(!add(s, 3, 1030, 3));
  assert.ok(!add(s, 1, 1010, 1));
  assert.ok(add(s, 1, 1010, 9), 'another value at the same time is another point');
  assert.deepEqual(s.steps, [0, 1, 1, 2, 3]);
  assert.ok(add(s, 4, 1040, NaN) && !add(s, 4, 1040, NaN));
  const out = fromAnswer({ name: 'm', run: 'r', total: 3, steps: [3, 1, 2], times: [0, 0, 0], values: [null, 'Infinity', 1] });
  assert.deepEqual([out.steps, out.values], [[1, 2, 3], [Infinity, 1, NaN]]);
});

test('thin keeps ends, extremes and the first that is not finite; valueAt lies on the line', () => {
  const s = thin(series(10_000, (i) => (i === 5000 ? 99 : i === 6000 ? NaN : Math.sin(i))), 300);
  assert.ok(s.steps.length <= 300 && s.steps[0] === 0 && s.steps.at(-1) === 9999);
  assert.ok(s.values.includes(99) && s.values.some(Number.isNaN));
  const t = series(3, (i) => i * 10, 10);
  assert.deepEqual([valueAt(t, 5), valueAt(t, 10), valueAt(t, -1), valueAt(t, 21)], [5, 10, undefined, undefined]);
  assert.deepEqual([lastAt([1, 2, 3], 0), lastAt([1, 2, 3], 2.5), lastAt([], 1)], [-1, 1, -1]);
});

test('panels are generated in sections, and a view says only what differs', () => {
  const names = ['train/loss', 'eval/f1', 'eval/loss', 'so8t/det.0', 'so8t/det.1'];
  const all = sections(names, emptyView);
  assert.deepEqual(all.map((s) => [s.title, s.panels.map((p) => p.title)]), [
    ['train', ['train/loss']], ['eval', ['eval/f1', 'eval/loss']], ['so8t', ['so8t/det.*']],
  ]);
  const [f1, loss] = all[1]!.panels;
  let view = changed(emptyView, f1!, { w: 2 });
  assert.deepEqual(view.panels, [{ id: 'line:eval/f1', kind: 'line', w: 2 }]);
  assert.deepEqual(changed(view, f1!, { w: undefined }).panels, [], 'what says nothing is dropped');
  view = moved(view, all[1]!, loss!, f1!);
  assert.deepEqual(sections(names, view)[1]!.panels.map((p) => p.title), ['eval/loss', 'eval/f1']);
  view = changed(view, f1!, { pinned: true });
  assert.equal(sections(names, view)[0]!.title, pinnedSection);
  view = changed(view, loss!, { hidden: true });
  assert.ok(!sections(names, view).some((s) => s.title === 'eval'));
  assert.ok(sections(names, view, true).some((s) => s.panels.some((p) => p.hidden)));
  view = { panels: [...view.panels, { id: 'x1', kind: 'markdown', text: 'hi', section: 'train' }] };
  assert.deepEqual(sections(names, view).find((s) => s.title === 'train')!.panels.map((p) => p.kind), ['line', 'markdown']);
  assert.deepEqual(sections([], { panels: [{ id: 'line:gone', kind: 'line', w: 2 }] }), [], 'of no run here');
});

test('what is no panel in a stored view is left out', () => {
  const ok = { id: 'a', kind: 'bar' };
  assert.deepEqual(readPanels([ok, ok, null, 3, { id: 1, kind: 'bar' }, { id: 'b', kind: 'pie' }]), [ok]);
  assert.deepEqual(readPanels('x'), []);
  const view = { panels: [{ id: 'a', kind: 'bar' as const }], x: 'time' as const, smoothing: 0.6, log: true, folded: ['eval'] };
  assert.deepEqual(readView(JSON.parse(JSON.stringify(writeView(view)))), view);
  assert.deepEqual(writeView(emptyView), []);
  assert.deepEqual(readView([{ kind: 'workspace', x: 'moon', smoothing: 7, log: 'yes', folded: [1] }]), { panels: [], folded: [] });
});

test('panels of the same runs ask together, and many runs in parts', () => {
  const runs = (n: number, from = 0) => Array.from({ length: n }, (_, i) => `r${from + i}`);
  const asked = (wants: [string, string[]][]) => questions(wants.map(([metric, runs]) => ({ metric, runs }))).map((q) => `${q.metrics.join(' ')}: ${q.runs.length}`);
  const many = Array.from({ length: 24 }, (_, i) => [`m${i}`, runs(10)] as [string, string[]]);
  assert.deepEqual(asked(many).length, 4);
  assert.equal(new Set(questions(many.map(([metric, runs]) => ({ metric, runs }))).flatMap((q) => q.metrics)).size, 24);
  assert.deepEqual(asked([['a', runs(100)]]), Array(4).fill('a: 25'));
  assert.deepEqual(asked([['a', runs(30)], ['b', runs(30)], ['c', runs(30)]]), ['a b: 25', 'a b: 5', 'c: 25', 'c: 5']);
  assert.deepEqual(asked([['a', runs(2)], ['b', runs(2, 1)], ['c', runs(2)]]), ['a c: 2', 'b: 2']);
  assert.deepEqual(asked(Array.from({ length: 70 }, (_, i) => [`m${i}`, ['one']])).map((q) => q.split(' ').length - 1), [60, 10]);
  assert.deepEqual(questions([]), []);
});
