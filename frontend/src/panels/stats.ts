// Statistics of runs: how a metric goes with parameters, distributions, calibration.

export type Cell = number | string | undefined;

/** A cell as a number, NaN where it is none. */
export const numberOf = (c: Cell): number => (typeof c === 'number' ? c : c === undefined || c.trim() === '' ? NaN : Number(c));

/** Ranks from 1, ties sharing the mean of theirs. */
export function ranks(values: number[]): number[] {
  const at = values.map((_, i) => i).sort((a, b) => values[a]! - values[b]!);
  const out = new Array<number>(values.length);
  for (let i = 0; i < at.length; ) {
    let j = i;
    while (j + 1 < at.length && values[at[j + 1]!] === values[at[i]!]) j++;
    for (let k = i; k <= j; k++) out[at[k]!] = (i + j) / 2 + 1;
    i = j + 1;
  }
  return out;
}

/** Pearson's correlation; NaN where one side does not vary. */
export function correlation(x: number[], y: number[]): number {
  const n = x.length;
  const [mx, my] = [x, y].map((v) => v.reduce((a, b) => a + b, 0) / n) as [number, number];
  let [xy, xx, yy] = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    xy += (x[i]! - mx) * (y[i]! - my);
    xx += (x[i]! - mx) ** 2;
    yy += (y[i]! - my) ** 2;
  }
  return xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : NaN;
}

export const spearman = (x: number[], y: number[]): number => correlation(ranks(x), ranks(y));

/** The share of y's variance that lies between groups, corrected for the number of groups (Kelley's ε², never below 0):
 *  1 − (n−1)/(n−k) · SSwithin/SStotal. NaN where there is but one group, no freedom left or y does not vary. */
export function between(groups: string[], y: number[]): number {
  const n = y.length;
  const members = new Map<string, number[]>();
  groups.forEach((g, i) => members.set(g, [...(members.get(g) ?? []), y[i]!]));
  const k = members.size;
  const mean = (v: number[]) => v.reduce((a, b) => a + b, 0) / v.length;
  const m = mean(y);
  const total = y.reduce((s, v) => s + (v - m) ** 2, 0);
  if (k < 2 || n <= k || total <= 0) return NaN;
  let within = 0;
  for (const v of members.values()) {
    const g = mean(v);
    for (const x of v) within += (x - g) ** 2;
  }
  return Math.max(0, 1 - ((n - 1) / (n - k)) * (within / total));
}

/** Values as names of groups: themselves, or where more than 6 numbers differ, the sixth of the runs that they are in. */
export function grouped(values: Cell[]): string[] {
  const numbers = values.map(numberOf);
  if (numbers.some(Number.isNaN) || new Set(numbers).size <= 6) return values.map(String);
  const r = ranks(numbers);
  return r.map((v) => String(Math.min(5, Math.floor(((v - 0.5) / r.length) * 6))));
}

export interface Influence {
  name: string;
  importance: number;
  /** Spearman's, of parameters that are numbers. */
  correlation: number;
  runs: number;
}

/** How much of a metric's variance goes with each parameter alone, the greatest first; parameters of fewer than four runs
 *  that have them, or that do not vary among those, are left out. */
export function influences(params: string[], rows: { y: number; cell: (param: string) => Cell }[]): Influence[] {
  const out: Influence[] = [];
  for (const name of params) {
    const some = rows.map((r) => ({ y: r.y, c: r.cell(name) })).filter((r) => r.c !== undefined && Number.isFinite(r.y));
    if (some.length < 4) continue;
    const y = some.map((r) => r.y);
    const values = some.map((r) => r.c);
    const importance = between(grouped(values), y);
    if (Number.isNaN(importance)) continue;
    const numbers = values.map(numberOf);
    out.push({ name, importance, correlation: numbers.every(Number.isFinite) ? spearman(numbers, y) : NaN, runs: some.length });
  }
  return out.sort((a, b) => b.importance - a.importance);
}

/** The least-squares line through points, y = a + b x, with r. */
export function trend(x: number[], y: number[]): { a: number; b: number; r: number } | undefined {
  const r = correlation(x, y);
  if (Number.isNaN(r)) return undefined;
  const n = x.length;
  const [mx, my] = [x, y].map((v) => v.reduce((s, w) => s + w, 0) / n) as [number, number];
  let [xy, xx] = [0, 0];
  for (let i = 0; i < n; i++) {
    xy += (x[i]! - mx) * (y[i]! - my);
    xx += (x[i]! - mx) ** 2;
  }
  return { a: my - (xy / xx) * mx, b: xy / xx, r };
}

export interface Bin {
  from: number;
  to: number;
  count: number;
}

/** Equal bins over the values, about √n of them, 5 to 40; the last holds its end. */
export function histogram(values: number[]): Bin[] {
  const v = values.filter(Number.isFinite);
  if (!v.length) return [];
  const [min, max] = [Math.min(...v), Math.max(...v)];
  if (min === max) return [{ from: min, to: max, count: v.length }];
  const n = Math.max(5, Math.min(40, Math.ceil(Math.sqrt(v.length))));
  const bins = Array.from({ length: n }, (_, i) => ({ from: min + ((max - min) * i) / n, to: min + ((max - min) * (i + 1)) / n, count: 0 }));
  for (const x of v) bins[Math.min(n - 1, Math.floor(((x - min) / (max - min)) * n))]!.count++;
  return bins;
}

export interface Reliability {
  from: number;
  to: number;
  rows: number;
  /** Means over the bin's rows. */
  confidence: number;
  right: number;
}

/** Rows by the probability of their answer in ten equal bins, and the expected calibration error: the mean over the rows
 *  of the difference between confidence and share right of each's bin. */
export function reliability(rows: { confidence: number; right: boolean }[]): { bins: Reliability[]; error: number } {
  const bins = Array.from({ length: 10 }, (_, i) => ({ from: i / 10, to: (i + 1) / 10, rows: 0, confidence: 0, right: 0 }));
  for (const r of rows) {
    const b = bins[Math.min(9, Math.max(0, Math.floor(r.confidence * 10)))]!;
    b.rows++;
    b.confidence += r.confidence;
    b.right += Number(r.right);
  }
  const some = bins.filter((b) => b.rows).map((b) => ({ ...b, confidence: b.confidence / b.rows, right: b.right / b.rows }));
  const total = some.reduce((n, b) => n + b.rows, 0);
  return { bins: some, error: some.reduce((e, b) => e + (b.rows / total) * Math.abs(b.confidence - b.right), 0) };
}
