import assert from 'node:assert/strict';
import { test } from 'node:test';
import { finder, found, LogText, parts, rowLength } from '../src/lib/logtext.ts';

const bytes = (s: string) => new TextEncoder().encode(s);

/** Reads a log as a page does, from where it last ended. */
function follow(log: LogText, whole: Uint8Array): boolean {
  return log.take(whole.subarray(log.from));
}
const shown = (log: LogText) => log.rows.slice(0, log.count);

test('a log that grows by a byte at a time is the log read at once', () => {
  const whole = bytes('attempt 1\r\n先月の請求書 🚗\n\nlast, open');
  const log = new LogText();
  for (let n = 0; n <= whole.length; n++) assert.ok(follow(log, whole.subarray(0, n)));
  assert.deepEqual(shown(log), ['attempt 1', '先月の請求書 🚗', '', 'last, open']);
  const once = new LogText();
  assert.ok(once.take(whole));
  assert.deepEqual(once.rows, log.rows);
});

test('a log that was begun anew is noticed, shorter, longer or as long as before', () => {
  const line = (n: number) => `time=2026-11-30T09:00:${n} step ${n}\n`;
  const old = bytes(Array.from({ length: 60 }, (_, i) => line(i)).join(''));
  for (const rows of [1, 30, 60, 400]) {
    const log = new LogText();
    assert.ok(log.take(old));
    assert.equal(follow(log, bytes(Array.from({ length: rows }, (_, i) => line(i + 60)).join(''))), false, `${rows} rows`);
  }
});

test('nothing new changes nothing', () => {
  const log = new LogText();
  const whole = bytes('a\nb\n');
  assert.ok(follow(log, whole));
  assert.ok(follow(log, whole));
  assert.deepEqual(shown(log), ['a', 'b']);
  assert.equal(new LogText().count, 0);
});

test('what is not seen stands escaped, and a long line takes several rows', () => {
  const log = new LogText();
  log.take(bytes(`\u001b[31mred\u202e\n${'x'.repeat(rowLength - 1)}🚗${'y'.repeat(rowLength)}z\n`));
  assert.equal(log.rows[0], '\\u001b[31mred\\u202e');
  assert.equal(log.rows.slice(1, 4).join(''), `${'x'.repeat(rowLength - 1)}🚗${'y'.repeat(rowLength)}z`);
  assert.ok(log.rows[2]!.startsWith('🚗'));
});

test('the oldest rows are left out, and counted', () => {
  const log = new LogText(100);
  const whole = bytes(Array.from({ length: 1000 }, (_, i) => `${i}\n`).join(''));
  for (let n = 0; n <= whole.length; n += 37) assert.ok(follow(log, whole.subarray(0, n)));
  follow(log, whole);
  assert.equal(log.dropped + log.count, 1000);
  assert.ok(log.count <= 110);
  assert.equal(shown(log)[0], String(log.dropped));
  assert.equal(shown(log).at(-1), '999');
});

test('a search takes the text as it is, in capitals or not', () => {
  const rows = ['a.b [1]', 'A.B', 'axb', 'a/b-c', 'İstanbul a.b a.B'];
  const of = (q: string) => found(rows, rows.length, finder(q)!);
  assert.deepEqual(of('a.b'), [0, 1, 4]);
  assert.deepEqual(of('[1]'), [0]);
  assert.deepEqual(of('/b-C'), [3]);
  for (const q of ['\\', '(', '^', '$', '*', '{', '|', '-', '/']) assert.doesNotThrow(() => finder(q));
  assert.equal(finder(''), undefined);
  assert.deepEqual(parts(rows[4]!, finder('a.b')), ['İstanbul ', 'a.b', ' ', 'a.B', '']);
  assert.deepEqual(found(rows, rows.length, finder('a.b')!, 1), [1, 4]);
});

test('100,000 lines are taken and searched in well under a second', (t) => {
  const whole = bytes(Array.from({ length: 100_000 }, (_, i) => `time=2026-11-30T09:00:00.000Z level=INFO msg="step" step=${i} loss=${Math.sin(i)}\n`).join(''));
  const log = new LogText();
  const start = performance.now();
  assert.ok(log.take(whole));
  const taken = performance.now() - start;
  assert.equal(log.count, 100_000);
  const from = performance.now();
  assert.equal(found(log.rows, log.count, finder('STEP=99')!).length, 1111);
  t.diagnostic(`${(whole.length / 1e6).toFixed(1)} MB taken in ${taken.toFixed(0)} ms, searched in ${(performance.now() - from).toFixed(0)} ms`);
  assert.ok(taken < 20_000); // whatever else this machine does
});
