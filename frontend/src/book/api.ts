// What the server says of notebooks.
import { ApiError, reach } from '../lib/api.ts';
import type { Progress, Run } from '../lib/types.ts';
import type { Kind } from './schema.ts';

export interface Entry {
  name: string;
  title?: string;
  cells: number;
  size: number;
  modified: string;
}

export interface Book {
  name: string;
  text: string;
  revision: string;
  modified: string;
  /** The text in blocks, where they were asked for. */
  blocks?: Block[];
}

export interface Version {
  revision: string;
  time: string;
  size: number;
  /** Who wrote it: "page", "api", or a program's name; none: it was found in the file. */
  by?: string;
}

export type CellState = 'waits' | 'wrong' | 'blocked' | 'new' | 'stale' | 'queued' | 'running' | 'failed' | 'fresh' | 'cached';

/** States of cells that have no result and can be run. */
export const openStates: ReadonlySet<CellState> = new Set<CellState>(['new', 'stale', 'failed']);

export interface Cell {
  id: string;
  kind: string;
  line: number;
  state: CellState;
  needs?: string[];
  cost?: string;
  key?: string;
  seconds?: number;
  run?: string;
  shown_key?: string;
  ended_at?: string;
  changes?: string[];
  settings?: string[];
  error?: string;
  /** Who made a result that came from the shared store. */
  by?: string;
  progress?: Progress;
  /** Of a cell that only shows what others gave: that, and the cells that it waits for. */
  shown?: unknown;
  waits?: string[];
}

export interface Problem {
  line: number;
  cell?: string;
  text: string;
}

export interface Block {
  type: 'front' | 'prose' | 'cell';
  text: string;
  cell?: string;
}

export interface Status {
  title: string;
  blocks: Block[];
  cells: Cell[];
  problems: Problem[];
  run?: string;
  kinds: string[];
}

/** What someone said of a cell. */
export interface Comment {
  id: string;
  book: string;
  cell: string;
  author: string;
  text: string;
  revision: number;
  created: string;
  updated: string;
  resolved_at?: string;
  resolved_by?: string;
}

/** A page that has a notebook open. */
export interface Present {
  window: string;
  name: string;
  colour: number;
  cell?: string;
}

const root = '/api/v1';
const pathOf = (name: string) => `${root}/notebooks/${name.split('/').map(encodeURIComponent).join('/')}`;

async function ask(method: string, url: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let res: Response;
  try {
    res = await fetch(url, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  } catch {
    reach.report(false);
    throw new ApiError('network', '', 0);
  }
  reach.report(true);
  if (res.ok || res.status === 304) return res;
  const e = (await res.json().catch(() => ({}))) as { code?: string; message?: string; details?: Record<string, unknown> };
  throw new ApiError(e.code ?? 'internal', e.message ?? res.statusText, res.status, e.details ?? {});
}

const json = async <T>(res: Promise<Response>): Promise<T> => (await res).json() as Promise<T>;

export const books = {
  list: async () => (await json<{ items: Entry[] }>(ask('GET', `${root}/notebooks`))).items,
  /** The notebook; undefined where it still has the revision. */
  read: async (name: string, known?: string): Promise<Book | undefined> => {
    const res = await ask('GET', `${pathOf(name)}?blocks=1`, undefined, known ? { 'If-None-Match': `"${known}"` } : {});
    return res.status === 304 ? undefined : ((await res.json()) as Book);
  },
  version: (name: string, revision: string) => json<Book>(ask('GET', `${pathOf(name)}?revision=${revision}`)),
  history: async (name: string) =>
    (await json<{ items: Version[] }>(ask('GET', `${root}/notebooks/history?name=${encodeURIComponent(name)}`))).items,
  /** Replaces the revision that is known; without one it makes a notebook. */
  write: (name: string, text: string, known?: string) =>
    json<Book>(ask('PUT', pathOf(name), { text }, known ? { 'If-Match': `"${known}"` } : { 'If-None-Match': '*' })),
  kinds: async () => (await json<{ items: Kind[] }>(ask('GET', `${root}/kinds`))).items,
  status: (name: string, text: string) => json<Status>(ask('POST', `${root}/notebooks/state`, { name, text })),
  run: (name: string, text: string, cells: string[]) =>
    json<Run>(ask('POST', `${root}/jobs`, { config: text, name, book: name, cells })),
};

export const href = (name: string) => `/notebooks/${name.split('/').map(encodeURIComponent).join('/')}`;

const commentPath = (c: Comment) => `${root}/comments/${encodeURIComponent(c.id)}`;
const at = (c: Comment) => ({ 'If-Match': `"${c.revision}"` });

export const comments = {
  list: async (book: string) => (await json<{ items: Comment[] }>(ask('GET', `${root}/comments?book=${encodeURIComponent(book)}`))).items,
  add: (c: { book: string; cell: string; author: string; text: string }, key: string) =>
    json<Comment>(ask('POST', `${root}/comments`, c, { 'Idempotency-Key': key })),
  change: (c: Comment, patch: { text?: string; resolved?: boolean; by?: string }) => json<Comment>(ask('PATCH', commentPath(c), patch, at(c))),
  remove: (c: Comment) => ask('DELETE', commentPath(c), undefined, at(c)),
  restore: (c: Comment) => json<Comment>(ask('POST', `${commentPath(c)}/restore`)),
};

export const presence = {
  say: async (p: Present & { book: string }) => (await json<{ items: Present[] }>(ask('POST', `${root}/presence`, p))).items,
  /** Sent while the page goes. */
  leave: (book: string, window: string): void => {
    void fetch(`${root}/presence`, {
      method: 'POST', keepalive: true, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ book, window, gone: true }),
    }).catch(() => undefined);
  },
};
