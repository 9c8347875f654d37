// What a run came to: its primary figure against its baseline and its floor.
import type { ABResult } from '../lib/types.ts';

export interface Result {
  metric: string;
  value: number;
  baseline: number | null;
  delta: number | null;
  low: number | null;
  high: number | null;
  reading: 'better' | 'worse' | 'unclear';
  better: string;
  rows: number;
  /** The best of the simple models on the same rows; of accuracy and macro-F1 alone. */
  floor?: { name: string; value: number };
}

/** The figures of an A/B test, the primary one first; empty where none is finite. */
export function resultsOf(ab: ABResult): Result[] {
  const floorOf = (metric: string): Result['floor'] => {
    if (metric !== 'accuracy' && metric !== 'macro_f1') return undefined;
    const known = (ab.baselines ?? []).flatMap((b) => (b.scores[metric] === null ? [] : [{ name: b.name, value: b.scores[metric] }]));
    return known.sort((x, y) => y.value - x.value)[0];
  };
  const out: Result[] = [];
  const add = (r: Omit<Result, 'value' | 'floor'> & { value: number | null }) => {
    if (r.value === null || out.some((o) => o.metric === r.metric)) return;
    const floor = floorOf(r.metric);
    out.push({ ...r, value: r.value, ...(floor ? { floor } : {}) });
  };
  const designed = [...(ab.inference?.comparisons ?? [])].sort((x, y) => Number(y.role === 'primary') - Number(x.role === 'primary'));
  for (const c of designed) {
    add({ metric: c.metric, value: c.b.value, baseline: c.a.value, delta: c.delta.value, low: c.delta.low, high: c.delta.high, reading: c.reading, better: c.better, rows: c.rows });
  }
  const differences = [...(ab.differences ?? [])].sort((x, y) => Number(y.metric === 'macro_f1') - Number(x.metric === 'macro_f1'));
  for (const d of differences) {
    const clear = d.low !== null && d.high !== null && (d.low > 0 || d.high < 0);
    const reading = d.reading ?? (!clear ? 'unclear' : d.low! > 0 === (d.better !== 'lower') ? 'better' : 'worse');
    add({ metric: d.metric, value: d.b, baseline: d.a, delta: d.delta, low: d.low, high: d.high, reading, better: d.better, rows: ab.rows });
  }
  return out;
}

/** Of a run without an A/B test: the series that says most, by the field's names. */
export function leadingMetric(names: string[]): string | undefined {
  const order = [/^(eval|val|test)\/.*(macro_?f1|f1)$/, /^(eval|val|test)\/.*acc/, /f1|acc/, /^(eval|val|test)\/.*loss/, /loss/];
  for (const re of order) {
    const found = names.filter((n) => re.test(n) && !n.startsWith('system/')).sort((a, b) => a.length - b.length)[0];
    if (found) return found;
  }
  return undefined;
}

/** Where values stand between the least and the greatest of them, 4 % to 96 %. */
export function scale(values: (number | null | undefined)[]): (v: number) => number {
  const known = values.filter((v): v is number => typeof v === 'number' && Number.isFinite(v));
  const low = Math.min(...known);
  const width = Math.max(...known) - low || 1;
  return (v) => 4 + ((v - low) / width) * 92;
}
