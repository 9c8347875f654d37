import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixed, number, span } from '../src/lib/format.ts';
import { byCell, whole } from '../src/lib/runs.ts';
import { filterSamples, verdict } from '../src/lib/samples.ts';
import type { Run, Sample } from '../src/lib/types.ts';
import { errorLine } from '../src/lib/yamlerror.ts';

test('sorting puts what is missing last in both directions', () => {
  for (const descending of [false, true]) {
    const got = [2, undefined, 10].sort((a, b) => byCell(a, b, descending));
    assert.deepEqual(got, descending ? [10, 2, undefined] : [2, 10, undefined]);
  }
});

test('an error points at a line by its details, by "line 3" or by "file:3:"', () => {
  assert.equal(errorLine('wrong', { line: 7 }), 7);
  assert.equal(errorLine('config.yaml: line 3: unknown key "lora"', {}), 3);
  assert.equal(errorLine('config.yaml:12: training.lora_rr: unknown key', {}), 12);
  assert.equal(errorLine('the seed is 42', {}), 0);
});

test('samples are filtered by what the two models got right', () => {
  const s = (index: number, label: string, a: string, b: string): Sample => ({
    index, label, prediction_a: a, prediction_b: b, group: '', text: `text ${index}`, language: index % 2 ? 'ja' : 'en',
    probability_a: null, probability_b: null, latency_a_ms: 1, latency_b_ms: 1, domain: '',
  });
  const samples = [s(0, 'ALLOW', 'ALLOW', 'ALLOW'), s(1, 'DENY', 'ALLOW', 'DENY'), s(2, 'DENY', 'DENY', 'ALLOW'), s(3, 'REFUSE', 'DENY', 'ALLOW')];
  const show = (what: Parameters<typeof filterSamples>[1]['show'], more = {}) =>
    filterSamples(samples, { show: what, label: '', language: '', domain: '', text: '', ...more }).map((x) => x.index);
  assert.deepEqual(show('disagree'), [1, 2, 3]);
  assert.deepEqual(show('wrongA'), [1, 3]);
  assert.deepEqual(show('wrongB'), [2, 3]);
  assert.deepEqual(show('fixed'), [1]);
  assert.deepEqual(show('broken'), [2]);
  assert.deepEqual(show('all', { language: 'ja', label: 'REFUSE' }), [3]);
  assert.deepEqual(show('all', { text: 'TEXT 2' }), [2]);
});

test('a verdict needs an interval that does not touch zero, and knows which way is better', () => {
  assert.equal(verdict({ low: 0.01, high: 0.05, better: 'higher' }), 'better');
  assert.equal(verdict({ low: 0.01, high: 0.05, better: 'lower' }), 'worse');
  assert.equal(verdict({ low: -5, high: -1, better: 'lower' }), 'better');
  assert.equal(verdict({ low: 0, high: 1, better: 'higher' }), 'unclear');
  assert.equal(verdict({ low: null, high: 1, better: 'higher' }), 'unclear');
});

test('figures: missing ones are dashes, small ones keep their digits', () => {
  assert.equal(number(null, 'en'), '–');
  assert.equal(number(0.000012345, 'en'), '1.23e-5');
  assert.equal(number(123456.789, 'en'), '123,457');
  assert.equal(number(0.123456, 'en'), '0.1235');
  assert.equal(fixed(0.5, 'en', 3), '0.500');
  assert.equal(span(3_840_000, 'en'), '1 hr 4 min');
  assert.equal(span(undefined, 'en'), '–');
});

test('a partial event keeps what it leaves out, but not how the run once ended', () => {
  const known = { id: 'r', status: 'failed', error: 'x', ended_at: 't', config: 'a: 1', summary: { loss: 1 } } as unknown as Run;
  const event = { id: 'r', status: 'queued', partial: true } as unknown as Run;
  assert.deepEqual(whole(event, known), { ...known, error: undefined, ended_at: undefined, status: 'queued', partial: true });
  assert.equal(whole({ ...event, partial: undefined }, known).config, undefined);
});
