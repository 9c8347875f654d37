// From series to what a plot draws: x and y by columns, a gap where a value is not finite, and where those are.
import { smooth } from '../lib/series.ts';
import type { Ink } from './palette.ts';
import { valueAt, type Series } from './series.ts';
import type { XKey } from './spec.ts';

export interface Trace {
  /** Of the run or group that it shows. */
  key: string;
  name: string;
  ink: Ink;
  x: number[];
  /** NaN is a gap. */
  y: number[];
  /** The values before smoothing, drawn faintly. */
  raw?: number[];
  /** Around a group's mean. */
  low?: number[];
  high?: number[];
  /** Of a group: how many runs the mean is of, at each x. */
  count?: number[];
  /** x where a value is not a number or infinite, the first of each stretch. */
  odd: { x: number; value: number }[];
  /** Values that a log axis cannot show. */
  dropped: number;
}

export interface TraceInput {
  key: string;
  name: string;
  ink: Ink;
  series: Series;
  /** Of the metric that gives x, where x is neither step nor time. */
  along?: Series | undefined;
}

/** A run's line. With another metric as x, the points at whose steps it has no value are left out, and they stand in
 *  order of x. */
export function trace(t: TraceInput, x: XKey, log: boolean, smoothing: number): Trace {
  const s = t.series;
  let xs: number[];
  let values = s.values;
  if (x === 'step') xs = s.steps;
  else if (x === 'time') xs = s.times;
  else if (x === 'relative') xs = s.times.map((ms) => (ms - s.times[0]!) / 1000);
  else {
    const found = s.steps.map((step, i) => [t.along ? valueAt(t.along, step) : undefined, values[i]!] as const);
    const some = found.filter((p): p is [number, number] => p[0] !== undefined && Number.isFinite(p[0]));
    some.sort((a, b) => a[0] - b[0]);
    xs = some.map((p) => p[0]);
    values = some.map((p) => p[1]);
  }
  const odd: Trace['odd'] = [];
  let dropped = 0;
  const clean = (v: number) => {
    if (!Number.isFinite(v)) return NaN;
    if (log && v <= 0) return NaN;
    return v;
  };
  for (let i = 0; i < values.length; i++) {
    const v = values[i]!;
    if (!Number.isFinite(v)) {
      if (i === 0 || Number.isFinite(values[i - 1]!)) odd.push({ x: xs[i]!, value: v });
    } else if (log && v <= 0) dropped++;
  }
  const plain = odd.length || dropped ? values.map(clean) : values;
  const y = smoothing > 0 ? smooth(values.map((v) => (Number.isFinite(v) ? v : null)), smoothing).map((v) => clean(v ?? NaN)) : plain;
  return { key: t.key, name: t.name, ink: t.ink, x: xs, y, ...(smoothing > 0 ? { raw: plain } : {}), odd, dropped };
}

/** The mean of several lines with its standard deviation as a band, on the x of all of them (at most `most`); between
 *  two points of a line it is the line that counts, and outside its ends it is left out. */
export function meanOf(traces: Trace[], key: string, name: string, ink: Ink, most = 400): Trace {
  let xs = [...new Set(traces.flatMap((t) => t.x))].sort((a, b) => a - b);
  if (xs.length > most) xs = Array.from({ length: most }, (_, i) => xs[Math.round((i * (xs.length - 1)) / (most - 1))]!);
  const out: Trace = { key, name, ink, x: xs, y: [], low: [], high: [], count: [], odd: traces.flatMap((t) => t.odd), dropped: traces.reduce((n, t) => n + t.dropped, 0) };
  const at = traces.map(() => 0);
  for (const x of xs) {
    const values: number[] = [];
    traces.forEach((t, k) => {
      let i = at[k]!;
      while (i + 1 < t.x.length && t.x[i + 1]! <= x) i++;
      at[k] = i;
      const [x0, x1] = [t.x[i], t.x[i + 1]];
      if (x0 === undefined || x0 > x) return;
      let v = t.y[i]!;
      if (x0 < x) {
        if (x1 === undefined) return;
        v += ((x - x0) / (x1 - x0)) * (t.y[i + 1]! - v);
      }
      if (Number.isFinite(v)) values.push(v);
    });
    const n = values.length;
    const mean = values.reduce((a, b) => a + b, 0) / n; // NaN, a gap, where there is none
    const sd = n > 1 ? Math.sqrt(values.reduce((a, v) => a + (v - mean) ** 2, 0) / (n - 1)) : 0;
    out.y.push(mean);
    out.low!.push(mean - sd);
    out.high!.push(mean + sd);
    out.count!.push(n);
  }
  return out;
}
