// Searches over runs on the server: what is asked and what comes back. docs/search.md has the language.
import { columnName, type Column } from './runs.ts';
import type { Status } from './types.ts';

export interface Found {
  id: string;
  name: string;
  experiment_id: string;
  status: Status;
  created_at: string;
  started_at?: string;
  ended_at?: string;
  values: Record<string, string | number | boolean>;
}

export interface Note {
  kind: 'unknown_key' | 'ambiguous_key' | 'no_direction';
  key: string;
  near?: string[];
  message: string;
}

export interface SearchRequest {
  filter?: string;
  order_by?: string[];
  experiments?: string[];
  columns?: string[];
  limit?: number;
  cursor?: string;
}

export interface SearchPage {
  items: Found[];
  next_cursor: string;
  total: number;
  columns: string[];
  notes: Note[];
}

export interface Facet {
  kind: 'metrics' | 'params' | 'tags';
  name: string;
  runs: number;
  distinct: number;
  varies: boolean;
  least?: number;
  greatest?: number;
  example?: string;
}

export interface Facets {
  items: Facet[];
  total: number;
}

const kinds = { metrics: 'metric', params: 'param', tags: 'tag' } as const;
const prefixes = { metric: 'metrics', param: 'params', tag: 'tags' } as const;

export const columnOf = (f: Facet): Column => `${kinds[f.kind]}:${f.name}`;

/** A column as the server's key, quoted, since a name may hold anything. */
export function searchKey(c: Column): string {
  const kind = c.slice(0, c.indexOf(':')) as keyof typeof prefixes;
  return `${prefixes[kind]}.\`${columnName(c).replaceAll('`', '``')}\``;
}

/** The columns of a table, in which a run's values stand by the server's names. */
export function cells(asked: Column[], page: SearchPage): (run: Found, c: Column) => string | number | boolean | undefined {
  const names = new Map(asked.map((c, i) => [c, page.columns[i]!]));
  return (run, c) => run.values[names.get(c) ?? ''];
}

/** Columns to show when the user has chosen none: up to four metrics that vary, results of the whole before those
 *  of a class and those before training's, and up to three parameters in which the runs differ, those of few values
 *  first. */
export function usualColumns(facets: Facet[]): Column[] {
  const rank = (n: string) => {
    const last = n.slice(n.lastIndexOf('/') + 1);
    if (/^(macro[_-]?f1|accuracy|f1)$/.test(last)) return 0;
    if (/accuracy|f1/.test(n)) return n.split('/').length > 2 && /[A-Z]{2}/.test(n) ? 3 : 1;
    if (/eval|val|test/.test(n)) return 2;
    if (/loss/.test(n)) return 2.5;
    return n.split('/').length > 2 ? 5 : 4;
  };
  const some = (kind: Facet['kind'], most: number, order: (a: Facet, b: Facet) => number) =>
    facets.filter((f) => f.kind === kind && f.varies).map((f, i) => ({ f, i })).sort((a, b) => order(a.f, b.f) || a.i - b.i).slice(0, most).map(({ f }) => columnOf(f));
  const metrics = some('metrics', 4, (a, b) => rank(a.name) - rank(b.name));
  const only = facets.filter((f) => f.kind === 'metrics').sort((a, b) => rank(a.name) - rank(b.name)).slice(0, 1).map(columnOf);
  return [...(metrics.length ? metrics : only), ...some('params', 3, (a, b) => Number(a.distinct < 2) - Number(b.distinct < 2) || a.distinct - b.distinct)];
}

export interface Sort {
  column: string; // a Column, or name, status, started, duration
  descending: boolean;
}

export function orderBy(s: Sort): string[] {
  const key = s.column.includes(':') ? searchKey(s.column as Column) : `attributes.${s.column}`;
  return [`${key} ${s.descending ? 'DESC' : 'ASC'}`];
}

/** What the person wrote, and the status chosen beside it, as one filter. */
export function joined(filter: string, status: string): string {
  if (!status) return filter;
  return filter.trim() ? `(${filter}) AND status = ${status}` : `status = ${status}`;
}

/** What a table shows, as it stands in the address, so that Back, a reload and a colleague find it again. */
export interface View {
  filter: string;
  status: string;
  sort: Sort;
  compare: string[];
}

export const usualSort: Sort = { column: 'started', descending: true };
/** More ids than these make an address that servers refuse: they are kept out of it. */
export const mostCompared = 50;

export function readView(search: string): View {
  const q = new URLSearchParams(search);
  const sort = q.get('sort') ?? '';
  const known = /^-?(name|status|started|duration|(metric|param|tag):.+)$/s.test(sort);
  return {
    filter: q.get('filter') ?? '',
    status: q.get('status') ?? '',
    sort: known ? { column: sort.replace(/^-/, ''), descending: sort.startsWith('-') } : usualSort,
    compare: q.get('compare')?.split(',').filter(Boolean) ?? [],
  };
}

export function viewQuery(v: View): string {
  const q: string[] = [];
  if (v.filter) q.push(`filter=${encodeURIComponent(v.filter)}`);
  if (v.status) q.push(`status=${encodeURIComponent(v.status)}`);
  if (v.sort.column !== usualSort.column || !v.sort.descending) q.push(`sort=${encodeURIComponent((v.sort.descending ? '-' : '') + v.sort.column)}`);
  if (v.compare.length && v.compare.length <= mostCompared) q.push(`compare=${v.compare.map(encodeURIComponent).join(',')}`);
  return q.length ? `?${q.join('&')}` : '';
}
