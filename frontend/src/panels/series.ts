// A metric's points of one run, by columns, as the server gives them and live ones are added.

/** Values may be NaN or infinite. Points stand in order of step, then time. */
export interface Series {
  steps: number[];
  times: number[];
  values: number[];
  /** Points that the server has, of which these are what was kept. */
  total: number;
}

export interface SeriesAnswer {
  name: string;
  run: string;
  total: number;
  steps: number[];
  times: number[];
  values: (number | null | string)[];
}

export function fromAnswer(a: SeriesAnswer): Series {
  const values = a.values.map((v) => (typeof v === 'number' ? v : v === null ? NaN : v === 'Infinity' ? Infinity : -Infinity));
  const s: Series = { steps: a.steps, times: a.times, values, total: a.total };
  return ordered(s) ? s : sorted(s);
}

const before = (s: Series, i: number, step: number, time: number) => s.steps[i]! < step || (s.steps[i] === step && s.times[i]! <= time);

function ordered(s: Series): boolean {
  for (let i = 1; i < s.steps.length; i++) if (!before(s, i - 1, s.steps[i]!, s.times[i]!)) return false;
  return true;
}

function sorted(s: Series): Series {
  const at = s.steps.map((_, i) => i).sort((a, b) => s.steps[a]! - s.steps[b]! || s.times[a]! - s.times[b]!);
  const pick = (v: number[]) => at.map((i) => v[i]!);
  return { steps: pick(s.steps), times: pick(s.times), values: pick(s.values), total: s.total };
}

/** Adds a live point in its place. One that is there already (the stream and the load overlap) is left out. Most come
 *  last, which costs nothing; gives whether the series changed. */
export function add(s: Series, step: number, time: number, value: number): boolean {
  let i = s.steps.length;
  while (i > 0 && !before(s, i - 1, step, time)) i--;
  for (let j = i - 1; j >= 0 && s.steps[j] === step && s.times[j] === time; j--) if (Object.is(s.values[j], value)) return false;
  s.total++;
  if (i === s.steps.length) {
    s.steps.push(step);
    s.times.push(time);
    s.values.push(value);
  } else {
    s.steps.splice(i, 0, step);
    s.times.splice(i, 0, time);
    s.values.splice(i, 0, value);
  }
  return true;
}

/** Keeps about `most` points: of each stretch the least, the greatest and the first that is not finite, and the ends. */
export function thin(s: Series, most: number): Series {
  const n = s.steps.length;
  if (n <= most) return s;
  const stretches = Math.max(1, Math.floor((most - 2) / 3));
  const keep = new Set([0, n - 1]);
  for (let b = 0; b < stretches; b++) {
    let [low, high, odd] = [-1, -1, -1];
    const to = 1 + Math.floor(((b + 1) * (n - 2)) / stretches);
    for (let i = 1 + Math.floor((b * (n - 2)) / stretches); i < to; i++) {
      const v = s.values[i]!;
      if (!Number.isFinite(v)) odd = odd < 0 ? i : odd;
      else {
        if (low < 0 || v < s.values[low]!) low = i;
        if (high < 0 || v > s.values[high]!) high = i;
      }
    }
    for (const i of [low, high, odd]) if (i >= 0) keep.add(i);
  }
  const at = [...keep].sort((a, b) => a - b);
  const pick = (v: number[]) => at.map((i) => v[i]!);
  return { steps: pick(s.steps), times: pick(s.times), values: pick(s.values), total: s.total };
}

/** The value of a series at a step: between two points on the line through them, undefined outside. */
export function valueAt(s: Series, step: number): number | undefined {
  const i = lastAt(s.steps, step);
  if (i < 0) return undefined;
  if (s.steps[i] === step) return s.values[i];
  if (i + 1 >= s.steps.length) return undefined;
  const share = (step - s.steps[i]!) / (s.steps[i + 1]! - s.steps[i]!);
  return s.values[i]! + share * (s.values[i + 1]! - s.values[i]!);
}

/** Index of the last x that is not after the given one, -1 before the first. xs ascend. */
export function lastAt(xs: ArrayLike<number>, x: number): number {
  let [lo, hi] = [-1, xs.length - 1];
  while (lo < hi) {
    const mid = (lo + hi + 1) >> 1;
    if (xs[mid]! <= x) lo = mid;
    else hi = mid - 1;
  }
  return lo;
}
