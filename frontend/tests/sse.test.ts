import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { eventsURL, stream, taps, type ServerEvent, type Source, type StreamState } from '../src/lib/sse.ts';

class FakeSource implements Source {
  static all: FakeSource[] = [];
  readyState = 0;
  onopen: ((ev: Event) => void) | null = null;
  onerror: ((ev: Event) => void) | null = null;
  listeners = new Map<string, (ev: MessageEvent) => void>();
  url: string;
  constructor(url: string) {
    this.url = url;
    FakeSource.all.push(this);
  }
  addEventListener(type: string, fn: (ev: MessageEvent) => void) {
    this.listeners.set(type, fn);
  }
  close() {
    this.readyState = 2;
  }
  emit(type: string, data: unknown, lastEventId = '') {
    this.listeners.get(type)!({ data: JSON.stringify(data), lastEventId } as MessageEvent);
  }
  opened() {
    this.readyState = 1;
    this.onopen!({} as Event);
  }
  fails(closed: boolean) {
    this.readyState = closed ? 2 : 0;
    this.onerror!({} as Event);
  }
}

function start(t: { after: (fn: () => void) => void }) {
  mock.timers.enable({ apis: ['setTimeout'] });
  FakeSource.all = [];
  const got: ServerEvent[][] = [];
  const states: StreamState[] = [];
  let resets = 0;
  const stop = stream({
    runID: 'r 1',
    onEvents: (e) => got.push(e),
    onReset: () => resets++,
    onState: (s) => states.push(s),
    open: (url) => new FakeSource(url),
  });
  t.after(() => {
    stop();
    mock.timers.reset();
  });
  return { got, states, stop, resets: () => resets, last: () => FakeSource.all.at(-1)! };
}

test('events of a quarter second come as one batch, in order', (t) => {
  const s = start(t);
  s.last().opened();
  s.last().emit('metrics', { a: [] }, '1');
  s.last().emit('run', { id: 'r' }, '2');
  assert.equal(s.got.length, 0);
  mock.timers.tick(250);
  assert.deepEqual(s.got.map((b) => b.map((e) => e.id)), [['1', '2']]);
});

test('a dropped connection is left to EventSource, a closed one is opened again from the last id', (t) => {
  const s = start(t);
  s.last().opened();
  s.last().emit('run', {}, '41');
  s.last().fails(false);
  mock.timers.tick(5000);
  assert.equal(FakeSource.all.length, 1);
  s.last().fails(true);
  assert.equal(s.states.at(-1), 'lost');
  mock.timers.tick(1000);
  assert.equal(FakeSource.all.length, 2);
  assert.equal(s.last().url, '/api/v1/events?run_id=r+1&last_event_id=41');
  s.last().opened();
  assert.equal(s.resets(), 0);
});

test('the wait grows while the server stays away', (t) => {
  const s = start(t);
  s.last().fails(true);
  mock.timers.tick(1000);
  s.last().fails(true);
  mock.timers.tick(1000);
  assert.equal(FakeSource.all.length, 2);
  mock.timers.tick(1000);
  assert.equal(FakeSource.all.length, 3);
});

test('a connection opened again without an id to resume from loads everything', (t) => {
  const s = start(t);
  s.last().fails(true);
  mock.timers.tick(1000);
  s.last().opened();
  assert.equal(s.resets(), 1);
});

test('reset drops what is waiting and asks for a new load', (t) => {
  const s = start(t);
  s.last().emit('run', {}, '7');
  s.last().emit('reset', {}, '90');
  mock.timers.tick(250);
  assert.equal(s.resets(), 1);
  assert.deepEqual(s.got, []);
  s.last().fails(true);
  mock.timers.tick(1000);
  assert.match(s.last().url, /last_event_id=90$/);
});

test('nothing is told after the stream was closed, and a frame that is not JSON is passed over', (t) => {
  const s = start(t);
  s.last().listeners.get('run')!({ data: '{', lastEventId: '1' } as MessageEvent);
  s.last().emit('run', {}, '2');
  s.stop();
  mock.timers.tick(10_000);
  assert.deepEqual(s.got, []);
  assert.equal(s.last().readyState, 2);
});

test('eventsURL leaves out what is not set', () => {
  assert.equal(eventsURL(undefined, ''), '/api/v1/events?named=1');
});

test('a stream of all runs says of which each event is, and what taps the streams hears it too', (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  FakeSource.all = [];
  const got: ServerEvent[] = [];
  const tapped: ServerEvent[] = [];
  let resets = 0;
  const tap = { onEvents: (e: ServerEvent[]) => void tapped.push(...e), onReset: () => void resets++ };
  taps.add(tap);
  const stop = stream({ onEvents: (e) => got.push(...e), onReset: () => {}, open: (url) => new FakeSource(url) });
  t.after(() => {
    stop();
    taps.delete(tap);
    mock.timers.reset();
  });
  FakeSource.all[0]!.emit('metrics', { run_id: 'r', data: { loss: [] } }, '4');
  mock.timers.tick(250);
  assert.deepEqual(got, [{ id: '4', type: 'metrics', run: 'r', data: { loss: [] } }]);
  assert.deepEqual(tapped, got);
  FakeSource.all[0]!.emit('reset', {}, '9');
  assert.equal(resets, 1);
});
