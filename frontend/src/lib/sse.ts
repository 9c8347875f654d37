// A client of /api/v1/events. EventSource resumes by Last-Event-ID after a dropped connection, but it
// gives up when the server answers with an error (503 while it restarts): this wrapper opens a new one
// then, from the last id it saw, with a growing wait.

export type StreamState = 'connecting' | 'open' | 'lost';

export interface ServerEvent {
  id: string;
  type: string;
  data: unknown;
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

const types = ['run', 'runs', 'metrics', 'restart', 'progress', 'module'];
const CLOSED = 2;

export function eventsURL(runID: string | undefined, lastID: string): string {
  const q = new URLSearchParams();
  if (runID) q.set('run_id', runID);
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
    if (events.length && !closed) o.onEvents(events);
  }

  function take(type: string, ev: MessageEvent) {
    if (ev.lastEventId) lastID = ev.lastEventId;
    let data: unknown;
    try {
      data = JSON.parse(ev.data as string);
    } catch {
      return; // a frame that is not ours
    }
    pending.push({ id: ev.lastEventId, type, data });
    flushTimer ??= setTimeout(flush, batchMS);
  }

  function connect(again: boolean) {
    o.onState?.('connecting');
    const blind = again && !lastID; // nothing to resume from: events between are unknown
    const s = (source = open(eventsURL(o.runID, lastID)));
    s.onopen = () => {
      wait = 1000;
      if (blind) o.onReset();
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
      o.onReset();
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
