import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kindOf, readCSV, tree } from '../src/run/files.ts';
import { changedLines, estimate } from '../src/run/plan.ts';
import { leadingMetric, resultsOf, scale } from '../src/run/result.ts';
import { gguf, safetensors, Short, size } from '../src/run/tensors.ts';
import type { ABResult, Artifact } from '../src/lib/types.ts';

const file = (path: string, media_type = 'application/octet-stream'): Artifact => ({ path, size: 1, sha256: '', media_type, created_at: '' });

test('paths become folders, and a folder with one folder in it is one with it', () => {
  const t = tree([file('a/b/c.json'), file('x.txt'), file('a/b/d.csv')]);
  assert.deepEqual(t.folders.map((f) => [f.name, f.files.map((x) => x.path)]), [['a/b', ['a/b/c.json', 'a/b/d.csv']]]);
  assert.deepEqual(t.files.map((f) => f.path), ['x.txt']);
});

test('what is not served as a page is not shown as one', () => {
  assert.equal(kindOf(file('p.html')), 'text');
  assert.equal(kindOf(file('p.html', 'text/html; charset=utf-8')), 'html');
  assert.equal(kindOf(file('p.parquet')), 'table');
  assert.equal(kindOf(file('no-end', 'text/plain')), 'text');
});

test('quoted fields of CSV may hold quotes, separators and line ends', () => {
  assert.deepEqual(readCSV('a,b\r\n"x, ""y""\nz",2\n\n3,', ',', 10), [['a', 'b'], ['x, "y"\nz', '2'], ['3', '']]);
  assert.equal(readCSV('1\n2\n3\n', ',', 2).length, 2);
});

test('a header of safetensors is read, and one that is cut says how much is wanted', () => {
  const json = new TextEncoder().encode('{"__metadata__":{"format":"pt"},"w":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]}}');
  const bytes = new Uint8Array(8 + json.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  const h = safetensors(bytes);
  assert.deepEqual(h, { facts: { format: 'pt' }, tensors: [{ name: 'w', type: 'BF16', shape: [2, 3] }] });
  assert.equal(size(h.tensors[0]!), 6);
  assert.throws(() => safetensors(bytes.subarray(0, 20)), (e: Short) => e instanceof Short && e.wanted === bytes.length);
  assert.throws(() => safetensors(new Uint8Array(8).fill(255)), /not safetensors/);
});

test('a header of GGUF is read, and lengths that cannot be are refused', () => {
  const out: number[] = [];
  const u32 = (n: number) => out.push(n & 255, (n >> 8) & 255, (n >> 16) & 255, (n >> 24) & 255);
  const u64 = (n: number) => (u32(n), u32(0));
  const text = (s: string) => (u64(s.length), out.push(...new TextEncoder().encode(s)));
  u32(0x46554747), u32(3), u64(1), u64(2);
  text('general.name'), u32(8), text('tiny');
  text('list'), u32(9), u32(4), u64(3), u32(1), u32(2), u32(3);
  text('w'), u32(2), u64(4), u64(8), u32(1), u64(0);
  const bytes = Uint8Array.from(out);
  assert.deepEqual(gguf(bytes), { facts: { 'general.name': 'tiny', list: '[1, 2, 3]' }, tensors: [{ name: 'w', type: 'F16', shape: [8, 4] }] });
  for (let n = 4; n < bytes.length; n++) assert.throws(() => gguf(bytes.subarray(0, n)), Short, `${n} bytes`);
  assert.throws(() => gguf(Uint8Array.from([...out.slice(0, 24), 255, 255, 255, 255, 255, 255, 255, 127])), /not GGUF/);
});

test('a plan says what is taken over and whether the rest is known', () => {
  const step = (taken_over: boolean, seconds?: number) => ({ name: 'x', kind: 'x', taken_over, ...(seconds ? { seconds } : {}) });
  assert.deepEqual(estimate([step(true, 50), step(false, 20), step(false, 5)]), { taken: 1, count: 3, seconds: 25, whole: true });
  assert.equal(estimate([step(false, 20), step(false)]).whole, false);
});

test('lines that changed stand beside what they were', () => {
  assert.deepEqual(changedLines('a\n  r: 1\nb\nc', 'a\n  r: 2\nb\nc\nd'), [{ was: 'r: 1', now: 'r: 2' }, { now: 'd' }]);
  assert.deepEqual(changedLines('a', 'a'), []);
});

test('the primary figure comes first, with the best of the simple models as its floor', () => {
  const estimateOf = (value: number) => ({ value, low: value - 0.1, high: value + 0.1 });
  const comparison = (metric: string, role: string) => ({ metric, role, better: 'higher', rows: 9, clusters: 9, a: estimateOf(0.5), b: estimateOf(0.7), delta: estimateOf(0.2), p_value: 0, p_adjusted: 0, margin: 0, reading: 'better' as const });
  const ab = {
    rows: 9,
    inference: { level: 0.95, rows: 9, clusters: 9, comparisons: [comparison('log_loss', 'secondary'), comparison('accuracy', 'primary')], verdict: { decision: '', code: '' } },
    differences: [{ metric: 'latency_median_ms', a: 1, b: 2, delta: 1, low: 0.5, high: 1.5, better: 'lower', resamples: 1 }],
    baselines: [{ name: 'majority', scores: { accuracy: 0.3, macro_f1: 0.1 }, detail: '' }, { name: 'naive_bayes', scores: { accuracy: 0.8, macro_f1: null }, detail: '' }],
  } as unknown as ABResult;
  const got = resultsOf(ab);
  assert.deepEqual(got.map((r) => [r.metric, r.reading]), [['accuracy', 'better'], ['log_loss', 'better'], ['latency_median_ms', 'worse']]);
  assert.deepEqual(got[0]!.floor, { name: 'naive_bayes', value: 0.8 });
  assert.equal(leadingMetric(['train/loss', 'eval/macro_f1', 'system/f1']), 'eval/macro_f1');
  assert.deepEqual([0, 10].map(scale([0, null, 10])), [4, 96]);
});
