// Work on lists of runs: columns, sorting, comparing. Filters are the server's: search.ts.
import type { Run } from './types.ts';

export type Column = `metric:${string}` | `param:${string}` | `tag:${string}`;

/** A run as an event tells it, with the parts that the event left out taken from what is known. */
export function whole(event: Run, known: Run | undefined): Run {
  if (!event.partial || !known) return event;
  return { ...known, error: undefined, ended_at: undefined, ...event };
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

/** A step's name: that of its kind where it has none of its own. */
export const title = (s: { name?: string; kind: string }): string => s.name ?? s.kind;

/** Milliseconds a run or step took, up to now while it goes on; undefined before it started. */
export function duration(t: { started_at?: string; ended_at?: string }, now: number): number | undefined {
  if (!t.started_at) return undefined;
  const from = Date.parse(t.started_at);
  const to = t.ended_at ? Date.parse(t.ended_at) : now;
  return Number.isNaN(from) || Number.isNaN(to) ? undefined : Math.max(0, to - from);
}
