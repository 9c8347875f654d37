// Which columns a table has at first, and what they are called.
import { facetKey, columnOfKey, type Facet, type Facets } from './search.ts';
import { kindOf, nameOf, type ColumnKey, type ViewColumn } from './view.ts';

const usualWidths: Record<string, number> = { metric: 104, best: 104, least: 104, greatest: 104, mean: 104, param: 96, tag: 112, attribute: 112 };
const attributeWidths: Record<string, number> = { status: 116, duration: 96, experiment: 160, started: 112, created: 112, ended: 112 };
export const narrowest = 48;
export const widest = 800;

export const widthOf = (c: ViewColumn): number =>
  c.width ?? (kindOf(c.key) === 'attribute' ? attributeWidths[nameOf(c.key)] : undefined) ?? usualWidths[kindOf(c.key)]!;

/** Attributes of runs that can be columns; name is always the first. */
export const attributes = ['status', 'experiment', 'started', 'ended', 'created', 'duration', 'notes', 'id'] as const;

export const isMetric = (key: ColumnKey): boolean => /^(metric|best|least|greatest|mean):/.test(key);

/** How much a metric tells at first sight, the least first: results of the whole before those of a class, those of the
 *  candidate before those of what it replaces, those of data that was held out before those of training. */
export function metricRank(name: string): number {
  const last = name.slice(name.lastIndexOf('/') + 1);
  const old = /^abtest\/a\//.test(name) ? 0.05 : 0;
  const seen = /^train/.test(name) ? 3 : 0;
  if (/^macro[_-]?f1$/i.test(last)) return 0 + old + seen;
  if (/^f1$/i.test(last)) return 0.1 + old + seen;
  if (/^(accuracy|acc)$/i.test(last)) return 0.2 + old + seen;
  const ofClass = name.split('/').length > 2 && /[A-Z]{2}/.test(name);
  if (/accuracy|f1|auc|bleu|score/i.test(name)) return (ofClass ? 5 : 1) + old + seen;
  if (/eval|val|test/i.test(name)) return (ofClass ? 5 : 2) + old;
  if (/loss/i.test(last)) return 2.5 + old;
  return (ofClass ? 6 : 4) + old + seen;
}

/** The metric that counts first: the server's choice where it made one, else the first by metricRank. */
export function primaryOf(facets: Facets): ColumnKey | undefined {
  const said = facets.primary ? columnOfKey(facets.primary) : undefined;
  if (said && facets.items.some((f) => facetKey(f) === said)) return said;
  const metrics = facets.items.filter((f) => facetKey(f).startsWith('metric:'));
  const best = [...metrics].sort((a, b) => Number(b.varies) - Number(a.varies) || metricRank(a.name) - metricRank(b.name))[0];
  return best && facetKey(best);
}

/** The columns of a table that nobody has arranged: the state, the primary metric, up to four parameters that vary, those of
 *  few values first, up to three other metrics that vary, and when the run was. */
export function usualColumns(facets: Facets, everywhere: boolean): ViewColumn[] {
  const of = (kind: string) => facets.items.filter((f) => facetKey(f).startsWith(`${kind}:`) && f.varies).map((f, i) => ({ f, i }));
  const primary = primaryOf(facets);
  const metrics = of('metric').sort((a, b) => metricRank(a.f.name) - metricRank(b.f.name) || a.i - b.i).map(({ f }) => facetKey(f)).filter((k) => k !== primary).slice(0, 3);
  const params = of('param').filter(({ f }) => f.type !== 'text' || (f.example ?? '').length <= 60)
    .sort((a, b) => Number(a.f.distinct < 2) - Number(b.f.distinct < 2) || a.f.distinct - b.f.distinct || a.i - b.i).slice(0, 4).map(({ f }) => facetKey(f));
  const keys: ColumnKey[] = ['attribute:status', ...(primary ? [primary] : []), ...params, ...metrics, ...(everywhere ? ['attribute:experiment' as const] : []), 'attribute:started', 'attribute:duration'];
  return keys.map((key) => ({ key }));
}

/** Parameters, tags and metrics that all of the runs have with one value. */
export const constant = (facets: Facet[]): Facet[] => facets.filter((f) => !f.varies);

/** Short titles: the last part of a name, and as many parts before it as tell it from every other name. */
export class Titles {
  private readonly counts = new Map<string, number>();

  constructor(facets: Facet[]) {
    for (const name of new Set(facets.map((f) => f.name))) {
      for (const end of endings(name)) this.counts.set(end, (this.counts.get(end) ?? 0) + 1);
    }
  }

  of(key: ColumnKey): string {
    const name = nameOf(key);
    return endings(name).find((end) => (this.counts.get(end) ?? 0) <= 1) ?? name;
  }
}

/** The ends of a name at its slashes and dots, the shortest first. */
function endings(name: string): string[] {
  const out: string[] = [];
  for (let at = name.length - 1; at > 0; at--) if (/[/.]/.test(name[at]!) && at < name.length - 1) out.push(name.slice(at + 1));
  out.push(name);
  return out;
}

/** A list with the entry of one key moved to before another's place. */
export function moved<T extends { key: ColumnKey }>(list: T[], key: ColumnKey, to: number): T[] {
  const from = list.findIndex((c) => c.key === key);
  if (from < 0) return list;
  const rest = list.toSpliced(from, 1);
  return rest.toSpliced(Math.max(0, Math.min(to > from ? to - 1 : to, rest.length)), 0, list[from]!);
}

/** Pinned columns stand before the others; within each part the order is kept. */
export const pinnedFirst = (list: ViewColumn[]): ViewColumn[] => [...list.filter((c) => c.pinned), ...list.filter((c) => !c.pinned)];
