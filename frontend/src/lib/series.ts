// Pure work on metric series. A point is [step, time in Unix ms, value]; a null value is a gap.

export type P = [step: number, time: number, value: number | null];
export type XAxis = 'step' | 'time' | 'relative';

/** Keeps at most max points (max ≥ 4): of each bucket the lowest and the highest, so that peaks stay;
 *  a bucket of nothing but gaps keeps one gap. The first and the last point stay. */
export function downsample(points: P[], max: number): P[] {
  if (points.length <= max || max < 4) return points;
  const buckets = Math.floor((max - 2) / 2);
  const inner = points.length - 2;
  const out: P[] = [points[0]!];
  for (let b = 0; b < buckets; b++) {
    const from = 1 + Math.floor((b * inner) / buckets);
    const to = 1 + Math.floor(((b + 1) * inner) / buckets);
    let lo = -1;
    let hi = -1;
    for (let i = from; i < to; i++) {
      const v = points[i]![2];
      if (v === null) continue;
      if (lo < 0 || v < points[lo]![2]!) lo = i;
      if (hi < 0 || v > points[hi]![2]!) hi = i;
    }
    if (lo < 0) {
      if (to > from) out.push(points[from]!);
      continue;
    }
    out.push(points[Math.min(lo, hi)]!);
    if (lo !== hi) out.push(points[Math.max(lo, hi)]!);
  }
  out.push(points[points.length - 1]!);
  return out;
}

/** Adds live points to a loaded series in order of step. A point that is there already (the stream and
 *  the load overlap) is left out. */
export function append(points: P[], fresh: P[]): P[] {
  const tail = points.slice(-Math.max(256, fresh.length * 2));
  const seen = new Set(tail.map((p) => `${p[0]} ${p[1]} ${p[2]}`));
  const out = points.slice();
  let sorted = true;
  for (const p of fresh) {
    const key = `${p[0]} ${p[1]} ${p[2]}`;
    if (seen.has(key)) continue;
    seen.add(key);
    const last = out[out.length - 1];
    if (last && p[0] < last[0]) sorted = false;
    out.push(p);
  }
  if (!sorted) out.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  return out;
}

/** Exponential moving average, weight in [0, 1), with the start's bias taken out (Adam's correction:
 *  divide by 1 − wⁿ). A gap stays a gap and does not move the average. */
export function smooth(values: (number | null)[], weight: number): (number | null)[] {
  if (weight <= 0) return values;
  let mean = 0;
  let n = 0;
  return values.map((v) => {
    if (v === null) return null;
    n++;
    mean = weight * mean + (1 - weight) * v;
    return mean / (1 - weight ** n);
  });
}

/** What a chart draws: [x, y], y null where there is no value or, on a log axis, none above zero. */
export function plot(points: P[], axis: XAxis, log: boolean, weight = 0): [number, number | null][] {
  const ys = smooth(points.map((p) => p[2]), weight);
  const start = points[0]?.[1] ?? 0;
  return points.map((p, i) => {
    const x = axis === 'step' ? p[0] : axis === 'time' ? p[1] : (p[1] - start) / 1000;
    const y = ys[i]!;
    return [x, y === null || (log && y <= 0) ? null : y];
  });
}

export type Grouping = 'prefix' | 'name';

export interface Card {
  title: string;
  metrics: { metric: string; label: string }[];
}

export interface Section {
  title: string;
  cards: Card[];
}

const byNumber = new Intl.Collator('en', { numeric: true });

// A number standing alone between the separators of a name: layers.3.det, det/layer_3, expert/3/load.
const ordinal = /(^|[/._-])(\d+)(?=$|[/._-])/;

/** Arranges metric names into sections of charts, a section for each first part, training first and in it the
 *  losses and scores, which are what one looks for, before rates and times. Names that differ in
 *  one number share a chart ("so8t/det/layer_0", "…/layer_1" → "so8t/det/layer_*"). By name, "train/loss"
 *  and "eval/loss" share the chart "loss". */
export function arrange(names: string[], by: Grouping): Section[] {
  const sections = new Map<string, Map<string, Card>>();
  for (const metric of [...names].sort(byNumber.compare)) {
    const parts = metric.split('/');
    let section = parts.length > 1 ? parts[0]! : '';
    let title = metric;
    let label = metric;
    const m = ordinal.exec(metric);
    if (m) {
      title = metric.replace(ordinal, '$1*');
      label = m[2]!;
    } else if (by === 'name' && parts.length === 2) {
      section = '';
      title = parts[1]!;
      label = parts[0]!;
    }
    const cards = sections.get(section) ?? new Map<string, Card>();
    sections.set(section, cards);
    const card = cards.get(title) ?? { title, metrics: [] };
    cards.set(title, card);
    card.metrics.push({ metric, label });
  }
  const rank = (s: string) => (s === 'train' ? 0 : /^(eval|val|test)/.test(s) ? 1 : 2);
  const wanted = (s: string) => (/loss|accuracy|f1/.test(s) ? 0 : /seconds?$|per_second|trained_tokens|learning_rate/.test(s) ? 2 : 1);
  return [...sections]
    .map(([title, cards]) => ({ title, cards: [...cards.values()].sort((a, b) => wanted(a.title) - wanted(b.title)) }))
    .sort((a, b) => rank(a.title) - rank(b.title));
}

/** A regular expression from what the user typed; a broken one gives the error's text. */
export function pattern(text: string): { match: (name: string) => boolean; error: string } {
  if (!text) return { match: () => true, error: '' };
  try {
    const re = new RegExp(text, 'i');
    return { match: (name) => re.test(name), error: '' };
  } catch (err) {
    return { match: () => true, error: (err as Error).message };
  }
}

/** The series as CSV, one row a point. */
export function toCSV(series: { name: string; points: P[] }[]): string {
  const quote = (s: string) => (/[",\n]/.test(s) ? `"${s.replaceAll('"', '""')}"` : s);
  const rows = ['series,step,time_ms,value'];
  for (const s of series) for (const p of s.points) rows.push(`${quote(s.name)},${p[0]},${p[1]},${p[2] ?? ''}`);
  return rows.join('\n') + '\n';
}
