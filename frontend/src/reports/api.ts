// What the server says of reports that people put together.
import { ApiError, call, json } from '../lib/api.ts';
import type { Block } from './kinds.ts';

export interface Body {
  language: 'en' | 'ja';
  blocks: Block[];
}

export interface Share {
  id: string;
  created: string;
  /** Only in the answer that makes it. */
  path?: string;
}

export interface Report {
  id: string;
  title: string;
  revision: number;
  created: string;
  updated: string;
  deleted?: string;
  shares: Share[];
  /** How many it has; lists leave the body out. */
  blocks: number;
}

export interface WholeReport extends Report {
  body: Body;
}

const at = (id: string) => `/reports/${encodeURIComponent(id)}`;

export const reports = {
  list: async (deleted = false) => (await json<{ items: Report[] | null }>('GET', `/reports${deleted ? '?deleted=true' : ''}`)).items ?? [],
  read: (id: string) => json<WholeReport>('GET', at(id)),
  create: (title: string, body: Body) => json<WholeReport>('POST', '/reports', { title, body }),
  /** Refused with 412 where it is not at the revision any more. */
  change: (id: string, revision: number, part: { title?: string; body?: Body }) => json<WholeReport>('PATCH', at(id), part, { 'If-Match': `"${revision}"` }),
  remove: async (id: string) => void (await call('DELETE', at(id))),
  restore: (id: string) => json<WholeReport>('POST', `${at(id)}/restore`),
  share: (id: string) => json<Share>('POST', `${at(id)}/shares`),
  withdraw: async (id: string, share: string) => void (await call('DELETE', `${at(id)}/shares/${encodeURIComponent(share)}`)),
};

export const href = (id: string): string => `/reports/${encodeURIComponent(id)}`;
export const fileURL = (id: string, query = ''): string => `/api/v1${at(id)}/html${query}`;
export const outdated = (err: unknown): boolean => err instanceof ApiError && err.status === 412;

/** Adds blocks at a report's end. Where somebody changes it meanwhile, they are added to what it is then. */
export async function append(id: string, blocks: Block[]): Promise<WholeReport> {
  for (let left = 5; ; left--) {
    const r = await reports.read(id);
    try {
      return await reports.change(id, r.revision, { body: { ...r.body, blocks: [...r.body.blocks, ...blocks] } });
    } catch (err) {
      if (!outdated(err) || left === 0) throw err;
    }
  }
}
