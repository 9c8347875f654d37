// A client of /api/v1/events. EventSource resumes by Last-Event-ID after a dropped connection, but it
// gives up when the server answers with an error (503 while it restarts): this wrapper opens a new one
// then, from the last id it saw, with a growing wait.

export type StreamState = 'connecting' | 'open' | 'lost';

export interface ServerEvent {
  id: string;
  type: string;
  data: unknown;
  /** Of which run it is, where it is of one. */
  run?: string;
}

/** The part of EventSource that is used, so that tests can stand in for it. */
export interface Source {
  readonly readyState: number;
  onopen: ((ev: Event) => void) | null;
  onerror: ((ev: Event) => void) | null;
  addEventListener(type: string, fn: (ev: MessageEvent) => void): void;
  close(): void;
}

export interface StreamOptions {
  runID?: string;
  /** Events of one flush, in order. */
  onEvents: (events: ServerEvent[]) => void;
  /** The server no longer has the events between: load everything again. */
  onReset: () => void;
  onState?: (state: StreamState) => void;
  /** How long events are gathered before one onEvents call, in ms. */
  batchMS?: number;
  open?: (url: string) => Source;
}

/** Told of the events of every stream that a page has open, and of each that has to be read anew: a chart needs no
 *  stream of its own, of which a browser has six to a server. */
export interface Tap {
  onEvents: (events: ServerEvent[]) => void;
  onReset: () => void;
}
export const taps = new Set<Tap>();

const types = ['run', 'runs', 'metrics', 'restart', 'progress', 'module', 'comments', 'presence'];
const CLOSED = 2;

export function eventsURL(runID: string | undefined, lastID: string): string {
  const q = new URLSearchParams();
  if (runID) q.set('run_id', runID);
  else q.set('named', '1'); // then events say of which run they are
  if (lastID) q.set('last_event_id', lastID);
  const s = q.toString();
  return '/api/v1/events' + (s ? `?${s}` : '');
}

/** Opens the stream; the function it gives closes it. */
export function stream(o: StreamOptions): () => void {
  const open = o.open ?? ((url: string) => new EventSource(url) as unknown as Source);
  const batchMS = o.batchMS ?? 250;
  let source: Source | undefined;
  let lastID = '';
  let wait = 1000;
  let closed = false;
  let pending: ServerEvent[] = [];
  let flushTimer: ReturnType<typeof setTimeout> | undefined;
  let retryTimer: ReturnType<typeof setTimeout> | undefined;

  function flush() {
    flushTimer = undefined;
    const events = pending;
    pending = [];
    if (!events.length || closed) return;
    o.onEvents(events);
    for (const tap of taps) tap.onEvents(events);
  }

  function reset() {
    o.onReset();
    for (const tap of taps) tap.onReset();
  }

  function take(type: string, ev: MessageEvent) {
    if (ev.lastEventId) lastID = ev.lastEventId;
    let data: unknown;
    let run = o.runID;
    try {
      data = JSON.parse(ev.data as string);
      if (!o.runID) ({ run_id: run, data } = data as { run_id: string; data: unknown });
    } catch {
      return; // a frame that is not ours
    }
    pending.push({ id: ev.lastEventId, type, data, ...(run ? { run } : {}) });
    flushTimer ??= setTimeout(flush, batchMS);
  }

  function connect(again: boolean) {
    o.onState?.('connecting');
    const blind = again && !lastID; // nothing to resume from: events between are unknown
    const s = (source = open(eventsURL(o.runID, lastID)));
    s.onopen = () => {
      wait = 1000;
      if (blind) reset();
      o.onState?.('open');
    };
    s.onerror = () => {
      if (closed) return;
      o.onState?.('lost');
      if (s.readyState !== CLOSED) return; // it retries by itself
      s.close();
      retryTimer = setTimeout(() => connect(true), wait);
      wait = Math.min(wait * 2, 15000);
    };
    for (const t of types) s.addEventListener(t, (ev) => take(t, ev));
    s.addEventListener('reset', (ev) => {
      if (ev.lastEventId) lastID = ev.lastEventId;
      pending = [];
      reset();
    });
  }

  connect(false);
  return () => {
    closed = true;
    clearTimeout(flushTimer);
    clearTimeout(retryTimer);
    source?.close();
  };
}
