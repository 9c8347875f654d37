// Lines as polylines in pixels, for the canvas and for SVG alike.
import { lastAt } from './series.ts';
import type { Trace } from './traces.ts';

/** The rectangle of a plot in pixels and what it shows. */
export interface Frame {
  left: number;
  top: number;
  width: number;
  height: number;
  x: [number, number];
  y: [number, number];
  logX: boolean;
  log: boolean;
}

export interface Scales {
  X: (v: number) => number;
  Y: (v: number) => number;
}

export function scalesOf(f: Frame): Scales {
  const scale = (min: number, max: number, log: boolean, at: number, size: number) => {
    const [a, b] = log ? [Math.log10(min), Math.log10(max)] : [min, max];
    const k = size / (b - a || 1);
    return log ? (v: number) => at + (Math.log10(v) - a) * k : (v: number) => at + (v - a) * k;
  };
  return { X: scale(f.x[0], f.x[1], f.logX, f.left, f.width), Y: scale(f.y[0], f.y[1], f.log, f.top + f.height, -f.height) };
}

const far = 1e5; // pixels; canvas and SVG draw wrongly beyond about a million

/** A column of values as runs of points between gaps, each [x, y, x, y, …] in pixels. Where many points share a column
 *  of pixels, its first, least, greatest and last are kept, which draws the same. */
export function polylines(xs: number[], ys: number[], f: Frame, s: Scales = scalesOf(f)): number[][] {
  const from = Math.max(0, lastAt(xs, f.x[0]));
  const to = Math.min(xs.length - 1, lastAt(xs, f.x[1]) + 1);
  const dense = to - from > 4 * f.width;
  const out: number[][] = [];
  let run: number[] = [];
  let column = NaN;
  let [first, low, high, last, lowAt, highAt] = [0, 0, 0, 0, 0, 0];
  const flush = () => {
    if (Number.isNaN(column)) return;
    run.push(column, first);
    if (low !== high) {
      if (lowAt < highAt) run.push(column, low, column, high);
      else run.push(column, high, column, low);
    }
    if (last !== run[run.length - 1]) run.push(column, last);
    column = NaN;
  };
  for (let i = from; i <= to; i++) {
    const v = ys[i]!;
    const x = s.X(xs[i]!);
    if (!(v === v) || !Number.isFinite(x)) {
      flush();
      if (run.length) out.push(run);
      run = [];
      continue;
    }
    const y = Math.max(-far, Math.min(far, s.Y(v)));
    if (!dense) {
      run.push(Math.max(-far, Math.min(far, x)), y);
      continue;
    }
    const c = Math.round(x);
    if (c !== column) {
      flush();
      column = c;
      first = low = high = last = y;
      lowAt = highAt = i;
      continue;
    }
    if (y < low) [low, lowAt] = [y, i];
    if (y > high) [high, highAt] = [y, i];
    last = y;
  }
  flush();
  if (run.length) out.push(run);
  return out;
}

/** The band of a group as closed outlines. */
export function bands(t: Trace, f: Frame, s: Scales = scalesOf(f)): number[][] {
  if (!t.low || !t.high) return [];
  const floor = f.log ? t.low.map((v) => (v > 0 ? v : f.y[0])) : t.low;
  const up = polylines(t.x, t.high, f, s);
  const down = polylines(t.x, floor, f, s);
  return up.flatMap((line, i) => {
    const back = down[i];
    if (!back) return [];
    const out = [...line];
    for (let j = back.length - 2; j >= 0; j -= 2) out.push(back[j]!, back[j + 1]!);
    return [out];
  });
}

export interface Mark {
  x: number;
  y: number;
  kind: 'nan' | 'up' | 'down';
}

/** Where a line breaks off because a value is not finite, and where it first leaves the frame above or below. */
export function marks(t: Trace, outside: boolean, f: Frame, s: Scales = scalesOf(f)): Mark[] {
  const out: Mark[] = [];
  for (const o of t.odd) {
    if (o.x < f.x[0] || o.x > f.x[1]) continue;
    let i = lastAt(t.x, o.x);
    while (i >= 0 && !Number.isFinite(t.y[i]!)) i--;
    const y = i >= 0 ? s.Y(t.y[i]!) : f.top + 6;
    out.push({ x: i >= 0 ? s.X(t.x[i]!) : s.X(o.x), y: Math.max(f.top + 5, Math.min(f.top + f.height - 5, y)), kind: 'nan' });
    if (out.length >= 50) break;
  }
  if (!outside) return out;
  let [over, under] = [false, false];
  for (let i = 0; i < t.x.length && !(over && under); i++) {
    const [x, y] = [t.x[i]!, t.y[i]!];
    if (x < f.x[0] || x > f.x[1]) continue;
    if (!over && y > f.y[1]) {
      over = true;
      out.push({ x: s.X(x), y: f.top + 5, kind: 'up' });
    }
    if (!under && y < f.y[0]) {
      under = true;
      out.push({ x: s.X(x), y: f.top + f.height - 5, kind: 'down' });
    }
  }
  return out;
}

/** The corners of a mark as strokes or, of an arrow, a filled outline. */
export function markPath(m: Mark): { path: number[][]; fill: boolean } {
  const r = 3.5;
  if (m.kind === 'nan') return { path: [[m.x - r, m.y - r, m.x + r, m.y + r], [m.x - r, m.y + r, m.x + r, m.y - r]], fill: false };
  const d = m.kind === 'up' ? -r : r;
  return { path: [[m.x - 4, m.y - d, m.x + 4, m.y - d, m.x, m.y + d]], fill: true };
}
