import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arrange, pattern, smooth } from '../src/lib/series.ts';

test('smooth is the bias-corrected moving average and leaves gaps alone', () => {
  assert.deepEqual(smooth([1, 1, 1], 0.9).map((v) => v!.toFixed(6)), ['1.000000', '1.000000', '1.000000']);
  const [a, gap, b] = smooth([0, null, 1], 0.5);
  assert.equal(a, 0);
  assert.equal(gap, null);
  assert.equal(b!.toFixed(6), (0.5 / 0.75).toFixed(6));
  const raw = [3, 1];
  assert.equal(smooth(raw, 0), raw);
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
