import assert from 'node:assert/strict';
import { test } from 'node:test';
import { among, fixed, number, percent, signed, timesAmong } from '../src/lib/format.ts';

const all = (values: (number | null | undefined)[], least?: number) => values.map(among(values, 'en', least));

test('figures of a set have the digits that tell them apart, and one number of decimals', () => {
  assert.deepEqual(all([0.9991, 0.9992, 0.9993]), ['0.9991', '0.9992', '0.9993']);
  assert.deepEqual(all([1.0000001, 1.0000002, 1]), ['1.0000001', '1.0000002', '1.0000000']);
  assert.deepEqual(all([0, 0.5, 1, 1.5], 1), ['0.0', '0.5', '1.0', '1.5']);
  assert.deepEqual(all([0.25, 0.5]), ['0.250', '0.500']);
  assert.deepEqual(all([1000, 20_000]), ['1,000', '20,000']);
  assert.deepEqual(all([1e-7, 2.5e-7, 0]), ['1e-7', '2.5e-7', '0']);
  assert.deepEqual(all([1e-8, 1e-3, 1]), ['1e-8', '1e-3', '1e0']);
  assert.deepEqual(all([-0.0001, 0.0001, -0], 1), ['-0.0001', '0.0001', '0.0000']);
  assert.deepEqual(all([5e-324, 1e300]), ['4.94e-324', '1e300']);
});

test('ticks of an axis read as what they are', () => {
  const ticks = (v: number[]) => v.map(among(v, 'en', 1, true));
  assert.deepEqual(ticks([2.5, 5, 7.5]), ['2.5', '5.0', '7.5']);
  assert.deepEqual(ticks([0, 1, 2]), ['0', '1', '2']);
  assert.deepEqual(ticks([0, 0.00005, 0.0001]), ['0.00000', '0.00005', '0.00010']);
  assert.deepEqual(ticks([0, 2.5e-7, 5e-7]), ['0', '2.5e-7', '5e-7']);
  assert.deepEqual(ticks([0.9991, 0.99915, 0.9992]), ['0.99910', '0.99915', '0.99920']);
});

test('no two different figures of a set read the same, whatever their sizes', () => {
  for (const set of [[1, 1 + 1e-9], [1e9, 1e9 + 1], [1e15 + 1, 1e15 + 2], [3e-9, 3.0000001e-9], [123456.7, 123456.71, 0]]) {
    assert.equal(new Set(all(set)).size, set.length, String(set));
  }
});

test('NaN is NaN, an infinity is ∞, what is missing is a dash, everywhere', () => {
  assert.deepEqual(all([NaN, Infinity, -Infinity, null, undefined, 0.5]), ['NaN', '∞', '−∞', '–', '–', '0.500']);
  assert.deepEqual(all([]), []);
  assert.deepEqual([NaN, Infinity, null].map((v) => number(v, 'ja')), ['NaN', '∞', '–']);
  assert.deepEqual([fixed(NaN, 'en', 2), signed(-Infinity, 'en', 2), percent(undefined, 'en')], ['NaN', '−∞', '–']);
  assert.deepEqual([number(2.5e-7, 'en'), number(1e12, 'en'), number(0.123456, 'en')], ['2.5e-7', '1e12', '0.1235']);
});

test('times of a set leave out what they share and show seconds where those differ', () => {
  const at = (s: string) => new Date(s).getTime();
  const write = (times: number[], lang: string) => times.map(timesAmong(times, lang));
  assert.deepEqual(write([at('2026-03-01T09:00'), at('2026-03-01T10:30')], 'en'), ['09:00', '10:30']);
  assert.deepEqual(write([at('2026-03-01T09:00:01'), at('2026-03-01T09:00:02')], 'en'), ['09:00:01', '09:00:02']);
  assert.deepEqual(write([at('2026-03-01T00:00'), at('2026-03-04T00:00')], 'en'), ['Mar 1', 'Mar 4']);
  assert.equal(new Set(write([at('2026-03-01T09:00'), at('2026-03-01T10:00'), at('2026-03-04T09:00')], 'ja')).size, 3);
  assert.match(write([at('2025-03-01T00:00'), at('2026-03-01T00:00')], 'en')[0]!, /2025/);
});
