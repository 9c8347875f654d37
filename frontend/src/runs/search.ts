// Searches over runs on the server: what is asked and what comes back. docs/search.md has the language.
import type { Status } from '../lib/types.ts';
import { isColumnKey, kindOf, nameOf, type ColumnKey, type Order } from './view.ts';

export type Cell = string | number | boolean | null;

/** A run as a table has it. */
export interface Row {
  id: string;
  name: string;
  experiment_id: string;
  status: Status;
  created: number; // ms since 1970
  started: number | null;
  ended: number | null;
  archived: boolean;
  notes: boolean;
  /** The run that it is a part of; empty: none. */
  parent: string;
  /** How many runs are parts of it. */
  children: number;
  /** In the order of the asked columns. */
  values: Cell[];
}

export interface Note {
  kind: 'unknown_key' | 'ambiguous_key' | 'no_direction';
  key: string;
  near?: string[];
  message: string;
}

export interface Scope {
  filter?: string;
  experiments?: string[];
  archived?: '' | 'also' | 'only';
}

export interface SearchRequest extends Scope {
  order_by?: string[];
  columns?: string[];
  limit?: number;
  cursor?: string;
  /** In place of a cursor: the first row, of the order that a snapshot names or of a new one. */
  offset?: number;
  snapshot?: string;
}

/** A run as a search gives it outside tables. */
export interface Found {
  id: string;
  name: string;
  experiment_id: string;
  experiment: string;
  status: Status;
  created_at: string;
  started_at?: string;
  ended_at?: string;
  archived?: boolean;
  notes?: boolean;
  parent_id?: string;
  children?: number;
  values: Record<string, Exclude<Cell, null>>;
}

export interface SearchPage {
  items: Found[];
  next_cursor: string;
  total: number;
  columns: string[];
  notes: Note[];
}

/** A window of a search, column by column. Times are ms since 1970, 0 where there is none. */
export interface TablePage {
  rows: {
    id: string[];
    name: string[];
    status: Status[];
    experiment_id: string[];
    created_at: number[];
    started_at: number[];
    ended_at: number[];
    archived: boolean[];
    parent_id: string[];
    children: number[];
    notes: boolean[];
    removed: boolean[];
  };
  /** None where no columns were asked for. */
  values?: Cell[][];
  total: number;
  snapshot: string;
  columns: string[];
  notes: Note[];
}

export interface Facet {
  key: string;
  kind: 'metric' | 'param' | 'tag' | 'metrics' | 'params' | 'tags';
  name: string;
  type?: 'number' | 'text' | 'mixed';
  runs: number;
  distinct: number;
  varies: boolean;
  direction?: 'higher' | 'lower' | '';
  least?: number;
  greatest?: number;
  example?: string;
}

export interface Facets {
  items: Facet[];
  total: number;
  /** Key of the metric that counts first; empty: none. */
  primary?: string;
}

export interface Spread {
  runs: number;
  missing: number;
  mean?: number;
  sd?: number;
  least?: number;
  greatest?: number;
}

export interface Group {
  by: Record<string, Cell>;
  runs: number;
  columns: Record<string, Spread>;
}

export interface Groups {
  items: Group[];
  total: number;
  groups: number;
  columns: string[];
  notes: Note[];
}

const ms = (t: string | undefined) => (t ? Date.parse(t) : null);

export function rowsOf(page: SearchPage): Row[] {
  return page.items.map((r) => ({
    id: r.id, name: r.name, experiment_id: r.experiment_id, status: r.status, created: Date.parse(r.created_at), started: ms(r.started_at),
    ended: ms(r.ended_at), archived: r.archived ?? false, notes: r.notes ?? false, parent: r.parent_id ?? '', children: r.children ?? 0, values: page.columns.map((c) => r.values[c] ?? null),
  }));
}

/** The rows of a window; undefined: removed since the order was found. */
export function rowsOfTable({ rows, values = [] }: TablePage): (Row | undefined)[] {
  return rows.id.map((id, i) =>
    rows.removed[i]
      ? undefined
      : {
          id, name: rows.name[i]!, experiment_id: rows.experiment_id[i]!, status: rows.status[i]!, created: rows.created_at[i]!, started: rows.started_at[i] || null,
          ended: rows.ended_at[i] || null, archived: rows.archived[i]!, notes: rows.notes[i]!, parent: rows.parent_id[i]!, children: rows.children[i]!,
          values: values.map((column) => column[i] ?? null),
        },
  );
}

const prefixes = { param: 'params', tag: 'tags' } as const;
const folds = { best: 'best', least: 'min', greatest: 'max', mean: 'mean' } as const;
const quoted = (name: string) => `\`${name.replaceAll('`', '``')}\``;

/** A column as the server's key, quoted, since a name may hold anything. */
export function searchKey(key: ColumnKey): string {
  const kind = kindOf(key);
  const name = nameOf(key);
  switch (kind) {
    case 'attribute': return `attributes.${quoted(name)}`;
    case 'metric': return `metrics.${quoted(name)}`;
    case 'param': case 'tag': return `${prefixes[kind]}.${quoted(name)}`;
    default: return `${folds[kind]}(metrics.${quoted(name)})`;
  }
}

export const facetKey = (f: { kind: Facet['kind']; name: string }): ColumnKey => `${f.kind.replace(/s$/, '') as 'metric'}:${f.name}`;

/** The column that a server's plain key such as metrics.eval/f1 or params.`a b` means. */
export function columnOfKey(key: string): ColumnKey | undefined {
  const at = key.indexOf('.');
  const kind = key.slice(0, at).replace(/s$/, '');
  let name = key.slice(at + 1);
  if (/^`.*`$/s.test(name)) name = name.slice(1, -1).replaceAll('``', '`');
  const column = `${kind}:${name}`;
  return at > 0 && isColumnKey(column) ? column : undefined;
}

export const orderBy = (order: Order[]): string[] => order.map((o) => `${searchKey(o.key)} ${o.descending ? 'DESC' : 'ASC'}`);

/** Both of two filters; either may be empty. */
export function both(a: string, b: string): string {
  if (!a.trim()) return b;
  return b.trim() ? `(${a}) AND ${b}` : a;
}

/** A filter that the runs of a group pass. */
export function equals(key: ColumnKey, value: Cell | undefined): string {
  if (value === undefined || value === null) return `${searchKey(key)} IS NULL`;
  const text = String(value);
  const plain = typeof value === 'number' || (text.trim() !== '' && /^[-+]?[\d.]+(e[-+]?\d+)?$/i.test(text) && Number.isFinite(Number(text)));
  return `${searchKey(key)} = ${plain || (typeof value === 'string' && /^-?(NaN|Infinity)$/.test(text) && kindOf(key) === 'metric') ? text : `'${text.replaceAll("'", "''")}'`}`;
}

export const oneOf = (ids: string[]): string => `attributes.id IN (${ids.map((id) => `'${id.replaceAll("'", "''")}'`).join(', ')})`;
