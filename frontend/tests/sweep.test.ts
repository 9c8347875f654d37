import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rowsOf, rowsUnderWay, trialOf, type SweepResult } from '../src/book/sweep.ts';

const tried = (name: string, value: number | null, round = 1) => ({ name: `${name} r${round}`, key: 'k', value, rank: 1 });
const result: SweepResult = {
  of: 'tune', step: 'tune', metric: 'eval/loss', direction: 'min', method: 'halving', keys: ['training.lora_r'], budget: 'training.num_train_epochs',
  rounds: [{ points: 4 }, { points: 2 }], looks: 5, best: { point: 2, name: 'c', value: 0.3 },
  points: [
    { name: 'a', params: { 'training.lora_r': 1 }, state: 'stopped', reason: 'place 3 of 4', value: 0.2, tries: [tried('a', 0.2)] },
    { name: 'b', params: { 'training.lora_r': 2 }, state: 'failed', reason: 'eval/loss is NaN', value: null, tries: [tried('b', null)] },
    { name: 'c', params: { 'training.lora_r': 4 }, state: 'finished', value: 0.3, tries: [tried('c', 0.5), tried('c', 0.3, 2)] },
    { name: 'd', params: { 'training.lora_r': 8 }, state: 'finished', value: 0.4, tries: [tried('d', 0.6), tried('d', 0.4, 2)] },
  ],
};

test('the best point comes first, then those that got as far, then the stopped, the failed last', () => {
  const rows = rowsOf(result, [{ id: 'run-c1', name: 'c r1', status: 'finished', params: {}, value: 0.5 }, { id: 'run-c2', name: 'c r2', status: 'finished', params: {}, value: 0.3 }]);
  assert.deepEqual(rows.map((r) => [r.name, r.best, r.rounds, r.state]), [['c', true, 2, 'finished'], ['d', false, 2, 'finished'], ['a', false, 1, 'stopped'], ['b', false, 1, 'failed']]);
  assert.equal(rows[0]!.run, 'run-c2', 'a point leads to its last run');
  assert.equal(rows[1]!.run, undefined);
  assert.equal(rows[2]!.reason, 'place 3 of 4');
});

test('while it runs, what has ended comes first, by its value and the direction', () => {
  const part = (name: string, status: string, value: number | null) => ({ id: name, name, status, params: {}, value });
  const parts = [part('a', 'running', 0.9), part('b', 'finished', 0.2), part('c', 'finished', 0.7), part('d', 'failed', null)];
  assert.deepEqual(rowsUnderWay('max', parts).map((r) => r.name), ['c', 'b', 'a', 'd']);
  assert.deepEqual(rowsUnderWay('min', parts).map((r) => r.name), ['b', 'c', 'a', 'd']);
  assert.ok(rowsUnderWay('min', parts).every((r) => !r.best), 'nothing is the best before the end');
});

test('what a sweep tries is read of its YAML', () => {
  assert.deepEqual(trialOf('of: tune\nkeys:\n  training.lora_r: [4, 8]\n  training.learning_rate: {uniform: [0, 1]}\nmetric: ${tune.metrics.eval/loss}\ndirection: min\n'), {
    of: 'tune', keys: ['training.lora_r', 'training.learning_rate'], metric: 'eval/loss', direction: 'min',
  });
  assert.equal(trialOf('of: tune\nkeys: {a: [1]}\nmetric: ${ab.metrics.accuracy}\n')!.direction, 'max');
  for (const bad of ['', 'of: [', 'of: tune\nkeys: [a]\nmetric: ${t.metrics.x}\n', 'of: tune\nkeys: {a: [1]}\nmetric: x\n']) assert.equal(trialOf(bad), undefined, bad);
});
