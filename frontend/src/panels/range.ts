// Which values an axis shows: all but what would flatten the rest, and it says what that is.
import type { Trace } from './traces.ts';

export interface YRange {
  min: number;
  max: number;
  /** Keys of the lines that leave the range. */
  outside: string[];
}

/** How many times the usual spread a value may lie beyond it and still be shown. */
const reach = 20;
const runReach = 4;

const quantile = (sorted: number[], q: number) => sorted[Math.round(q * (sorted.length - 1))]!;

/** The y range of lines. Unless all is asked for, two kinds of outliers are left out: a line whose greatest (or least)
 *  value lies beyond the median of the lines' greatest by more than 4 times the median spread, which is a run that
 *  diverged; and within a line points beyond 20 times the spread of its middle 96 %, which are spikes. On a log axis
 *  the same holds of the logarithms. */
export function yRange(traces: Trace[], log: boolean, all: boolean, from = -Infinity, to = Infinity): YRange {
  const own = traces.map((t) => {
    const values: number[] = [];
    for (const column of [t.y, t.low ?? [], t.high ?? []]) {
      for (let i = 0; i < column.length; i++) {
        const v = column[i]!;
        if (Number.isFinite(v) && t.x[i]! >= from && t.x[i]! <= to && !(log && v <= 0)) values.push(log ? Math.log10(v) : v);
      }
    }
    values.sort((a, b) => a - b);
    const n = values.length;
    if (!n) return undefined;
    const [least, greatest] = [values[0]!, values[n - 1]!];
    if (all || n < 8) return { key: t.key, least, greatest, lo: least, hi: greatest };
    const [q1, q2] = [quantile(values, 0.02), quantile(values, 0.98)];
    const far = reach * (q2 - q1) || Infinity;
    const inside = values.filter((v) => v >= q1 - far && v <= q2 + far);
    return { key: t.key, least, greatest, lo: inside[0]!, hi: inside[inside.length - 1]! };
  }).filter((o) => o !== undefined);
  if (!own.length) return log ? { min: 0.1, max: 1, outside: [] } : { min: 0, max: 1, outside: [] };

  let kept = own;
  if (!all && own.length > 1) {
    const middle = (v: number[], q: number) => v.sort((a, b) => a - b)[q]!;
    const half = (own.length - 1) / 2;
    // Of two, the one that reaches less far is the usual one.
    const high = middle(own.map((o) => o.hi), Math.floor(half));
    const low = middle(own.map((o) => o.lo), Math.ceil(half));
    const spread = Math.max(middle(own.map((o) => o.hi - o.lo), Math.floor(half)), high - low);
    const far = runReach * spread || Infinity;
    const fit = own.filter((o) => o.hi <= high + far && o.lo >= low - far);
    if (fit.length) kept = fit;
  }
  let min = Math.min(...kept.map((o) => o.lo));
  let max = Math.max(...kept.map((o) => o.hi));
  const outside = own.filter((o) => o.least < min || o.greatest > max).map((o) => o.key);
  const pad = (max - min) * 0.04 || (log ? 0.5 : Math.abs(max) * 0.05 || 1);
  min -= pad;
  max += pad;
  return log ? { min: 10 ** min, max: 10 ** max, outside } : { min, max, outside };
}

/** Numbers for an axis: at most about n round ones from min to max; on a log axis powers of ten, and between two few
 *  powers 2 and 5 times them. */
export function ticks(min: number, max: number, n: number, log = false): number[] {
  if (!(max > min) || n < 1) return [];
  if (log) {
    const [a, b] = [Math.log10(min), Math.log10(max)];
    const every = Math.max(1, Math.ceil((b - a) / n));
    const out: number[] = [];
    for (let e = Math.floor(a); e <= b; e++) {
      if (e % every === 0) for (const m of b - a < 1.5 ? [1, 2, 5] : [1]) {
        const v = m * 10 ** e;
        if (v >= min && v <= max) out.push(v);
      }
    }
    return out.length > 1 ? out : ticks(min, max, n);
  }
  const raw = (max - min) / n;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].find((m) => m * power >= raw * 0.999)! * power;
  const out: number[] = [];
  for (let i = Math.ceil(min / step - 1e-9); i * step <= max + step * 1e-9; i++) out.push(Number((i * step).toPrecision(12)));
  return out;
}
