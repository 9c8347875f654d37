import assert from 'node:assert/strict';
import { test } from 'node:test';
import { append, arrange, downsample, pattern, plot, smooth, toCSV, type P } from '../src/lib/series.ts';

const line = (n: number, f: (i: number) => number | null): P[] => Array.from({ length: n }, (_, i) => [i, 1000 + i, f(i)]);

test('downsample keeps the ends, the extremes and the order', () => {
  const points = line(10_000, (i) => (i === 4321 ? 99 : i === 7777 ? -99 : Math.sin(i / 50)));
  const got = downsample(points, 500);
  assert.ok(got.length <= 500, String(got.length));
  assert.deepEqual(got[0], points[0]);
  assert.deepEqual(got.at(-1), points.at(-1));
  assert.ok(got.some((p) => p[2] === 99) && got.some((p) => p[2] === -99));
  assert.ok(got.every((p, i) => i === 0 || p[0] > got[i - 1]![0]));
});

test('downsample leaves a short series as it is and keeps long gaps', () => {
  const short = line(10, (i) => i);
  assert.equal(downsample(short, 10), short);
  const gap = downsample(line(1000, (i) => (i > 300 && i < 700 ? null : 1)), 50);
  assert.ok(gap.some((p) => p[2] === null));
});

test('append leaves out points that are there, and puts late ones in their place', () => {
  const have = line(3, (i) => i);
  assert.deepEqual(append(have, [have[2]!, [3, 1003, 3]]).map((p) => p[0]), [0, 1, 2, 3]);
  assert.deepEqual(append(have, [[5, 1, 1], [4, 1, 1]]).map((p) => p[0]), [0, 1, 2, 4, 5]);
  assert.equal(append(have, [[2, 1002, 7]]).length, 4, 'another value at the same step is another point');
});

test('smooth is the bias-corrected moving average and leaves gaps alone', () => {
  assert.deepEqual(smooth([1, 1, 1], 0.9).map((v) => v!.toFixed(6)), ['1.000000', '1.000000', '1.000000']);
  const [a, gap, b] = smooth([0, null, 1], 0.5);
  assert.equal(a, 0);
  assert.equal(gap, null);
  assert.equal(b!.toFixed(6), (0.5 / 0.75).toFixed(6));
  const raw = [3, 1];
  assert.equal(smooth(raw, 0), raw);
});

test('plot: a log axis has gaps at zero and below, time counts from the first point', () => {
  const points: P[] = [[0, 5000, 1], [1, 6500, 0], [2, 8000, -1], [3, 9000, null]];
  assert.deepEqual(plot(points, 'step', true), [[0, 1], [1, null], [2, null], [3, null]]);
  assert.deepEqual(plot(points, 'relative', false).map((p) => p[0]), [0, 1.5, 3, 4]);
});

test('arrange groups by prefix or by name, and names that differ in a number share a chart', () => {
  const names = ['train/loss', 'eval/loss', 'so8t/det/layer_10', 'so8t/det/layer_2', 'so8t/layers.0.cmd.det', 'so8t/layers.1.cmd.det', 'lr', 'eval/f1'];
  const prefix = arrange(names, 'prefix');
  assert.deepEqual(prefix.map((s) => s.title), ['train', 'eval', '', 'so8t']);
  assert.deepEqual(prefix[3]!.cards[0], {
    title: 'so8t/det/layer_*',
    metrics: [
      { metric: 'so8t/det/layer_2', label: '2' },
      { metric: 'so8t/det/layer_10', label: '10' },
    ],
  });
  assert.equal(prefix[3]!.cards[1]!.title, 'so8t/layers.*.cmd.det');
  assert.deepEqual(prefix[1]!.cards.map((c) => c.title), ['eval/f1', 'eval/loss'], 'the 1 of f1 is no number of its own');
  const name = arrange(names, 'name');
  const loss = name.flatMap((s) => s.cards).find((c) => c.title === 'loss')!;
  assert.deepEqual(loss.metrics.map((m) => m.label), ['eval', 'train']);
});

test('pattern matches without case, and says what is wrong with a broken expression', () => {
  assert.ok(pattern('^TRAIN/').match('train/loss'));
  assert.ok(!pattern('^loss').match('train/loss'));
  const broken = pattern('(');
  assert.notEqual(broken.error, '');
  assert.ok(broken.match('anything'));
});

test('toCSV writes a gap as an empty field and quotes names', () => {
  assert.equal(
    toCSV([{ name: 'a "b", c', points: [[1, 2, null], [3, 4, 0.5]] }]),
    'series,step,time_ms,value\n"a ""b"", c",1,2,\n"a ""b"", c",3,4,0.5\n',
  );
});
