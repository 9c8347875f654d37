// Scales and ticks of the panels that are drawn as SVG.
import { tickText } from '../lib/i18n.ts';
import { ticks } from './range.ts';
import { numberOf, type Cell } from './stats.ts';
import { scaleOf } from './values.svelte.ts';

export interface Axis {
  kind: 'linear' | 'log' | 'category';
  /** Place of a value between 0 and 1; NaN where it has none. */
  at: (v: Cell) => number;
  ticks: { at: number; text: string }[];
}

/** An axis for values, with about n ticks; categories stand at equal distances in order of their names. */
export function axisOf(values: Cell[], n: number, pad = 0.04): Axis {
  const kind = scaleOf(values);
  if (kind === 'category') {
    const names = [...new Set(values.filter((v) => v !== undefined).map(String))].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
    const place = (i: number) => (names.length < 2 ? 0.5 : pad + (i / (names.length - 1)) * (1 - 2 * pad));
    const index = new Map(names.map((c, i) => [c, i]));
    const every = Math.max(1, Math.ceil(names.length / Math.max(n, 2)));
    return {
      kind, at: (v) => (v === undefined ? NaN : place(index.get(String(v)) ?? NaN)),
      ticks: names.map((text, i) => ({ at: place(i), text })).filter((_, i) => i % every === 0),
    };
  }
  const numbers = values.filter((v) => v !== undefined).map(numberOf);
  const log = kind === 'log';
  const f = (v: number) => (log ? Math.log10(v) : v);
  let [min, max] = [f(Math.min(...numbers)), f(Math.max(...numbers))];
  const room = (max - min) * pad || 0.5 * (Math.abs(max) || 1);
  [min, max] = [min - room, max + room];
  const found = ticks(log ? 10 ** min : min, log ? 10 ** max : max, n, log);
  const write = tickText(found);
  const at = (v: Cell) => (v === undefined ? NaN : (f(numberOf(v)) - min) / (max - min));
  return { kind, at, ticks: found.map((v) => ({ at: at(v), text: write(v) })) };
}

/** A text that fits about so many px of the small type, cut with an ellipsis. */
export function fitted(s: string, px: number): string {
  const most = Math.max(3, Math.floor(px / 6.3));
  const wide = [...s].reduce((w, c) => w + (c > '\u2e80' ? 1.8 : 1), 0);
  return wide <= most ? s : `${[...s].slice(0, Math.max(2, Math.floor((most / wide) * [...s].length) - 1)).join('')}…`;
}
