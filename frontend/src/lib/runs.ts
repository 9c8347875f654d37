// Work on lists of runs: columns, filtering, sorting.
import type { Run } from './types.ts';

export type Column = `metric:${string}` | `param:${string}` | `tag:${string}`;

/** A run as an event tells it, with the parts that the event left out taken from what is known. */
export function whole(event: Run, known: Run | undefined): Run {
  if (!event.partial || !known) return event;
  return { ...known, error: undefined, ended_at: undefined, ...event };
}

export function columnName(c: Column): string {
  return c.slice(c.indexOf(':') + 1);
}

export function cell(run: Run, c: Column): string | number | null | undefined {
  const name = columnName(c);
  if (c.startsWith('metric:')) return run.summary?.[name];
  if (c.startsWith('param:')) return run.params?.[name];
  return run.tags?.[name];
}

/** Every column any of the runs has, metrics first, each kind in order of name. */
export function columnsOf(runs: Run[]): Column[] {
  const metrics = new Set<string>();
  const params = new Set<string>();
  const tags = new Set<string>();
  for (const r of runs) {
    for (const k in r.summary) metrics.add(k);
    for (const k in r.params) params.add(k);
    for (const k in r.tags) tags.add(k);
  }
  const sorted = (s: Set<string>) => [...s].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  return [
    ...sorted(metrics).map((k): Column => `metric:${k}`),
    ...sorted(params).map((k): Column => `param:${k}`),
    ...sorted(tags).map((k): Column => `tag:${k}`),
  ];
}

/** Columns to show when the user has chosen none: up to four metrics, those of results before those of
 *  training, and up to two parameters that differ between runs. */
export function defaultColumns(runs: Run[]): Column[] {
  const all = columnsOf(runs);
  const rank = (c: Column) => {
    const n = columnName(c);
    if (/accuracy|f1/.test(n)) return 0;
    if (/eval|val|test/.test(n)) return 1;
    if (/loss/.test(n)) return 2;
    return n.split('/').length > 2 ? 4 : 3;
  };
  const metrics = all
    .filter((c) => c.startsWith('metric:'))
    .map((c, i) => ({ c, i }))
    .sort((x, y) => rank(x.c) - rank(y.c) || x.i - y.i)
    .slice(0, 4)
    .map((x) => x.c);
  const params = all
    .filter((c) => c.startsWith('param:') && new Set(runs.map((r) => cell(r, c))).size > 1)
    .slice(0, 2);
  return [...metrics, ...params];
}

const term = /^([^<>=!]+?)(<=|>=|!=|=|<|>)(.*)$/;

/** A filter of words, all of which must hold: `text` is looked for in name, id, parameters, tags and the
 *  names of metrics, those of metric modules included;
 *  `key>0.9`, `key=value`, `key!=value` compare a metric, parameter, tag or the status. */
export function runFilter(text: string): (run: Run) => boolean {
  const words = text.trim().split(/\s+/).filter(Boolean);
  const tests = words.map((w) => {
    const m = term.exec(w);
    if (!m) {
      const needle = w.toLowerCase();
      return (r: Run) =>
        [r.name, r.id, ...Object.entries(r.params ?? {}).flat(), ...Object.entries(r.tags ?? {}).flat(), ...Object.keys(r.summary ?? {})].some((s) =>
          s.toLowerCase().includes(needle),
        );
    }
    const [, key, op, want] = m as unknown as [string, string, string, string];
    return (r: Run) => compare(value(r, key), op, want);
  });
  return (r) => tests.every((t) => t(r));
}

function value(r: Run, key: string): string | number | null | undefined {
  if (key === 'status') return r.status;
  if (key === 'name') return r.name;
  return r.summary?.[key] ?? r.params?.[key] ?? r.tags?.[key];
}

function compare(got: string | number | null | undefined, op: string, want: string): boolean {
  if (got === null || got === undefined) return op === '!=';
  const a = Number(got);
  const b = Number(want);
  const numbers = want !== '' && !Number.isNaN(a) && !Number.isNaN(b);
  const order = numbers ? a - b : String(got).toLowerCase().localeCompare(want.toLowerCase());
  switch (op) {
    case '=': return order === 0;
    case '!=': return order !== 0;
    case '<': return order < 0;
    case '<=': return order <= 0;
    case '>': return order > 0;
    default: return order >= 0;
  }
}

/** Compares two cells for sorting; what is missing comes last whichever the direction. */
export function byCell(
  a: string | number | null | undefined,
  b: string | number | null | undefined,
  descending: boolean,
): number {
  const missingA = a === null || a === undefined || a === '';
  const missingB = b === null || b === undefined || b === '';
  if (missingA || missingB) return Number(missingA) - Number(missingB);
  const x = Number(a);
  const y = Number(b);
  const order =
    Number.isNaN(x) || Number.isNaN(y) ? String(a).localeCompare(String(b), undefined, { numeric: true }) : x - y;
  return descending ? -order : order;
}

/** The figures of A/B tests that some of the runs have, those of metric modules included, in order of name:
 *  one number a run each, which a curve shows badly. */
export function results(runs: Run[]): string[] {
  const names = new Set(runs.flatMap((r) => Object.keys(r.summary ?? {})));
  return [...names].filter((n) => n.startsWith('abtest/')).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
}

/** Parameters in which the runs differ, in order of name. */
export function differing(runs: Run[]): string[] {
  const names = new Set(runs.flatMap((r) => Object.keys(r.params ?? {})));
  return [...names].filter((n) => new Set(runs.map((r) => r.params?.[n])).size > 1).sort();
}

/** Milliseconds a run or step took, up to now while it goes on; undefined before it started. */
export function duration(t: { started_at?: string; ended_at?: string }, now: number): number | undefined {
  if (!t.started_at) return undefined;
  const from = Date.parse(t.started_at);
  const to = t.ended_at ? Date.parse(t.ended_at) : now;
  return Number.isNaN(from) || Number.isNaN(to) ? undefined : Math.max(0, to - from);
}
