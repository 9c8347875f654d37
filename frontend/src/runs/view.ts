// A view: what a list of runs and the panels beside it show. It stands in the address, is saved on the server under a
// name, and goes along with each entry of the browser's history.

/** KIND:NAME. metric is a metric's last value; best, least, greatest and mean are of all its points. */
export type ColumnKey = `${ColumnKind}:${string}`;
export const columnKinds = ['metric', 'best', 'least', 'greatest', 'mean', 'param', 'tag', 'attribute'] as const;
export type ColumnKind = (typeof columnKinds)[number];

export interface ViewColumn {
  key: ColumnKey;
  /** CSS pixels; the usual width of its kind where left out. */
  width?: number;
  pinned?: boolean;
}

export interface Order {
  key: ColumnKey;
  descending: boolean;
}

export interface RunView {
  /** In the language of docs/search.md. */
  filter: string;
  /** First the one that counts most; never empty. */
  order: Order[];
  /** Left to right, pinned ones first; undefined: the usual ones (columns.ts). The run's name is always there. */
  columns?: ViewColumn[];
  /** What the runs are grouped by. */
  group?: ColumnKey;
  /** Id of the run that the others are compared with. */
  baseline?: string;
  /** Ids of the runs that charts leave out. */
  hidden: string[];
  /** Ids of runs that charts draw though they are not among the first. */
  shown: string[];
  /** Archived runs: beside the others, or alone; undefined: left out. */
  archived?: 'also' | 'only';
  layout: 'table' | 'split' | 'charts';
  /** CSS pixels of the column of names. */
  nameWidth?: number;
  /** Undefined: as the person has set it for every page. */
  density?: 'dense' | 'comfortable';
  /** The arrangement of the charts, which src/panels reads and writes. */
  panels: unknown[];
  /** What else src/panels keeps: axis, smoothing, folded sections. */
  charts: Record<string, unknown>;
}

export const usualOrder: Order = { key: 'attribute:started', descending: true };

export function usualView(): RunView {
  return { filter: '', order: [usualOrder], hidden: [], shown: [], layout: 'split', panels: [], charts: {} };
}

/** More characters than these make an address that servers and messengers refuse: what does not fit stays out of it and is
 *  kept in the history's entry alone. */
export const longestAddress = 2000;

export const kindOf = (key: ColumnKey): ColumnKind => key.slice(0, key.indexOf(':')) as ColumnKind;
export const nameOf = (key: ColumnKey): string => key.slice(key.indexOf(':') + 1);

export function isColumnKey(s: unknown): s is ColumnKey {
  if (typeof s !== 'string') return false;
  const at = s.indexOf(':');
  return at > 0 && at < s.length - 1 && (columnKinds as readonly string[]).includes(s.slice(0, at));
}

// A part of a list: percent-encoded, so that the commas and tildes between parts are its own.
const part = (s: string) => encodeURIComponent(s).replaceAll('~', '%7E').replaceAll('%2F', '/').replaceAll('%3A', ':');

function decoded(s: string): string {
  try {
    return decodeURIComponent(s.replaceAll('+', ' '));
  } catch {
    return s;
  }
}

/** The view as an address's query, with its question mark; selected are the ids of the chosen runs. */
export function viewQuery(v: RunView, selected: string[] = [], saved = ''): string {
  const usual = v.order.length === 1 && v.order[0]!.key === usualOrder.key && v.order[0]!.descending;
  const parts: [string, string][] = [
    ['view', part(saved)],
    ['filter', encodeURIComponent(v.filter)],
    ['order', usual ? '' : v.order.map((o) => (o.descending ? '-' : '') + part(o.key)).join(',')],
    ['group', part(v.group ?? '')],
    ['baseline', part(v.baseline ?? '')],
    ['density', v.density ?? ''],
    ['columns', v.columns ? v.columns.map((c) => `${part(c.key)}${c.width || c.pinned ? `~${c.width ?? ''}` : ''}${c.pinned ? '~p' : ''}`).join(',') || '-' : ''],
    ['archived', v.archived ?? ''],
    ['layout', v.layout === 'split' ? '' : v.layout],
    ['name', v.nameWidth ? String(v.nameWidth) : ''],
    ['hidden', v.hidden.map(part).join(',')],
    ['shown', v.shown.map(part).join(',')],
    ['compare', selected.map(part).join(',')],
    ['charts', Object.keys(v.charts).length ? encodeURIComponent(JSON.stringify(v.charts)) : ''],
    ['panels', v.panels.length ? encodeURIComponent(JSON.stringify(v.panels)) : ''],
  ];
  let q = '';
  for (const [name, value] of parts) {
    const more = `${q ? '&' : '?'}${name}=${value}`;
    if (value && (q + more).length <= longestAddress) q += more;
  }
  return q;
}

/** Reads what viewQuery wrote, and the addresses of before (sort=, status=). What it cannot read is left as usual. */
export function readView(query: string): { view: RunView; selected: string[]; saved: string } {
  const raw = new Map(query.replace(/^\?/, '').split('&').map((p) => {
    const at = p.indexOf('=');
    return at < 0 ? [p, ''] : [p.slice(0, at), p.slice(at + 1)];
  }));
  const list = (name: string) => (raw.get(name) ?? '').split(',').filter(Boolean).map(decoded);
  const view = usualView();
  view.filter = decoded(raw.get('filter') ?? '');
  const status = decoded(raw.get('status') ?? '');
  if (/^\w+$/.test(status)) view.filter = view.filter.trim() ? `(${view.filter}) AND status = ${status}` : `status = ${status}`;
  const order = [...list('order'), ...list('sort')].map(readOrder).filter((o) => o !== undefined);
  if (order.length) view.order = order;
  const columns = raw.get('columns');
  if (columns) view.columns = columns === '-' ? [] : columns.split(',').map(readColumn).filter((c) => c !== undefined);
  const group = decoded(raw.get('group') ?? '');
  if (isColumnKey(group)) view.group = group;
  const baseline = decoded(raw.get('baseline') ?? '');
  if (baseline) view.baseline = baseline;
  view.hidden = list('hidden');
  view.shown = list('shown');
  choose(view, { archived: raw.get('archived'), layout: raw.get('layout'), density: raw.get('density'), nameWidth: Number(raw.get('name')) });
  view.panels = asList(parsed(decoded(raw.get('panels') ?? '')));
  view.charts = asObject(parsed(decoded(raw.get('charts') ?? '')));
  return { view, selected: list('compare'), saved: decoded(raw.get('view') ?? '') };
}

/** Sets the fields that have few values, where one of them is given. */
function choose(v: RunView, k: Record<string, unknown>): void {
  if (k.density === 'dense' || k.density === 'comfortable') v.density = k.density;
  if (k.archived === 'also' || k.archived === 'only') v.archived = k.archived;
  if (k.layout === 'table' || k.layout === 'charts') v.layout = k.layout;
  if (typeof k.nameWidth === 'number' && k.nameWidth > 0 && k.nameWidth < 5000) v.nameWidth = Math.round(k.nameWidth);
}

function readOrder(s: string): Order | undefined {
  const descending = s.startsWith('-');
  const key = descending ? s.slice(1) : s;
  if (isColumnKey(key)) return { key, descending };
  return /^(name|status|started|duration)$/.test(key) ? { key: `attribute:${key}`, descending } : undefined;
}

function readColumn(s: string): ViewColumn | undefined {
  const [name, width, pinned] = s.split('~');
  const key = decoded(name ?? '');
  if (!isColumnKey(key)) return undefined;
  const w = Math.round(Number(width));
  return { key, ...(w > 0 && w < 5000 ? { width: w } : {}), ...(pinned === 'p' ? { pinned: true } : {}) };
}

function parsed(s: string): unknown {
  try {
    return JSON.parse(s || 'null');
  } catch {
    return null;
  }
}

const asList = (x: unknown): unknown[] => (Array.isArray(x) ? x : []);
const asObject = (x: unknown) => (typeof x === 'object' && x !== null && !Array.isArray(x) ? x : {}) as Record<string, unknown>;

/** A view as it was saved or kept, whoever wrote it: each field that does not hold is as usual. */
export function asView(kept: unknown): RunView {
  const v = usualView();
  if (typeof kept !== 'object' || kept === null) return v;
  const k = kept as Record<string, unknown>;
  if (typeof k.filter === 'string') v.filter = k.filter;
  const order = asList(k.order).filter((o): o is Order => isColumnKey((o as Order)?.key)).map((o) => ({ key: o.key, descending: o.descending === true }));
  if (order.length) v.order = order;
  if (Array.isArray(k.columns)) {
    v.columns = asList(k.columns).filter((c): c is ViewColumn => isColumnKey((c as ViewColumn)?.key)).map((c) => ({
      key: c.key, ...(typeof c.width === 'number' && c.width > 0 ? { width: c.width } : {}), ...(c.pinned === true ? { pinned: true } : {}),
    }));
  }
  if (isColumnKey(k.group)) v.group = k.group;
  if (typeof k.baseline === 'string' && k.baseline) v.baseline = k.baseline;
  const ids = (x: unknown) => asList(x).filter((h): h is string => typeof h === 'string');
  v.hidden = ids(k.hidden);
  v.shown = ids(k.shown);
  choose(v, k);
  v.panels = asList(k.panels);
  v.charts = asObject(k.charts);
  return v;
}
