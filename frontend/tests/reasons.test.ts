import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { causeOf, reasonOf, waitsFor } from '../src/lib/reasons.ts';

const server = ['worker/process.go', 'jobs/attempt.go', 'jobs/jobs.go', 'jobs/recover.go', 'worker/main.go', 'worker/death.go', 'worker/signal_unix.go']
  .map((f) => readFileSync(new URL(`../../server/${f}`, import.meta.url), 'utf8'))
  .join('\n');

/** The server's words with the verbs that its source has in the places of figures. */
const written = (source: string) => assert.ok(server.includes(source), `the server no longer writes ${source}`);

test('each reason that the queue writes has words in both languages', () => {
  const reasons: [string, string, string, object][] = [
    ['attempt %d: the worker died: %s', 'attempt 2: the worker died: panic: a\nb', 'job.died', { attempt: 2, cause: 'panic: a\nb' }],
    ['the worker died %d times in a row in the same way, without getting further: %v', 'the worker died 3 times in a row in the same way, without getting further: the worker died: out of memory', 'job.diedTooOften', { times: 3, cause: 'out of memory' }],
    ...([
      ['the server stopped; it goes on when the server starts', 'job.serverStopped'],
      ['the server ended while it ran', 'job.serverEnded'],
      ['cancelled; it goes on from its newest checkpoint when resumed', 'job.cancelled'],
      ['cancelled while it waited', 'job.cancelledWaiting'],
      ['the worker ended without recording an end', 'job.noEnd'],
    ] as const).map(([text, key]): [string, string, string, object] => [text, text, key, {}]),
  ];
  for (const [source, text, key, args] of reasons) {
    written(`"${source}`);
    assert.deepEqual(reasonOf(text), { key, args });
  }
  written('"the worker died: " + d.Cause + "; its last words: "');
  assert.deepEqual(reasonOf('the worker died 3 times in a row in the same way, without getting further: the worker died: panic: x; its last words: a / b'), {
    key: 'job.diedTooOften', args: { times: 3, cause: 'panic: x' }, rest: 'a / b',
  });
  assert.equal(reasonOf('data.jsonl:3: cancelled while it waited'), undefined);
  assert.equal(reasonOf('attempt 2: worker gpu1 was not heard of for 45s')?.key, 'job.lost');
  assert.equal(reasonOf('attempt 2: worker gpu1 runs it no longer: its process ended, or its connection was gone for too long')?.key, 'job.gone');
  assert.equal(reasonOf('worker gpu1 was stopped')?.key, 'job.left');
});

test('each cause of a death that the worker names has words in both languages', () => {
  const causes: [string, string, string][] = [
    ['"out of memory"', 'out of memory', 'cause.memory'],
    ['"interrupted by a signal"', 'interrupted by a signal', 'cause.signal'],
    ['"it left without saying how its job ended"', 'it left without saying how its job ended', 'cause.silent'],
    ['killed by signal %d (%v)', 'killed by signal 9 (killed), which is what a system does that has no memory left', 'cause.killed'],
  ];
  written('", which is what a system does that has no memory left"');
  for (const [source, text, key] of causes) {
    written(source);
    assert.equal(causeOf(text), key);
  }
  assert.equal(causeOf('panic: index out of range'), undefined);
});

test('each thing that a job waits for has words in both languages', () => {
  const source = readFileSync(new URL('../../experiments/reason.go', import.meta.url), 'utf8');
  const codes = [...source.matchAll(/^\tWaits\w+ += "(\w+)"/gm)].map((m) => m[1]!);
  assert.ok(codes.length >= 5, `codes ${codes}`);
  for (const code of codes) assert.ok(waitsFor({ code, args: {} })?.key.startsWith('waits.'), `no words for ${code}`);
  assert.deepEqual(waitsFor({ code: 'device', args: { device: 'cpu', name: 'a' } })?.key, 'waits.processor');
  assert.equal(waitsFor({ code: 'worker', args: { gpu: '16' } })?.key, 'waits.workerGpuOf');
  assert.equal(waitsFor({ code: 'worker_slot', args: { gpu: '0' } })?.key, 'waits.slotGpu');
  assert.equal(waitsFor({ code: 'worker', args: { gpu: '16', gpu_have: '12' } })?.key, 'waits.workerGpuMost');
  assert.equal(waitsFor({ code: 'worker', args: { memory: '41', memory_have: '8' } })?.key, 'waits.workerMemory');
  assert.equal(waitsFor({ code: 'worker', args: { gpu: '16', memory: '41' } })?.key, 'waits.workerBoth');
  assert.equal(waitsFor({ code: 'worker_slot', args: { memory: '41' } })?.key, 'waits.slotMemory');
  assert.equal(waitsFor({ code: 'worker_slot', args: { gpu: '16', memory: '41' } })?.key, 'waits.slotBoth');
  assert.equal(waitsFor({ code: 'of another version' }), undefined);
});
