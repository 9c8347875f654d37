// Where the columns of a table stand. Of many, only those in view are drawn; the others are one empty cell on each side.
import type { ColumnKey, ViewColumn } from './view.ts';

export interface Placed {
  key: ColumnKey;
  /** Of all columns, from 0. */
  index: number;
  width: number;
  /** px from the table's left edge. */
  left: number;
  number: boolean;
  /** Its cells have a bar of the value's place between the least and the greatest. */
  meter: boolean;
  share: (v: unknown) => number | undefined;
}

export interface Laid {
  name: number;
  pinned: Placed[];
  visible: Placed[];
  /** px of what is left out before and after the visible. */
  before: number;
  after: number;
  /** px of everything. */
  width: number;
}

export interface Measured {
  width: (c: ViewColumn) => number;
  number: (key: ColumnKey) => boolean;
  range: (key: ColumnKey) => [number, number] | undefined;
}

/** So many columns are drawn; of more, those in view. */
export const allDrawn = 40;

export function lay(columns: ViewColumn[], name: number, m: Measured, left: number, view: number): Laid {
  let at = name;
  const placed = columns.map((c, index): Placed => {
    const range = m.range(c.key);
    const share = (v: unknown) => (range && typeof v === 'number' && Number.isFinite(v) ? Math.min(1, Math.max(0, (v - range[0]) / (range[1] - range[0]))) : undefined);
    const p = { key: c.key, index, width: m.width(c), left: at, number: m.number(c.key), meter: !!range, share };
    at += p.width;
    return p;
  });
  const pinned = placed.slice(0, columns.filter((c) => c.pinned).length);
  const rest = placed.slice(pinned.length);
  const edge = name + pinned.reduce((n, c) => n + c.width, 0);
  const visible = rest.length <= allDrawn ? rest : rest.filter((c) => c.left + c.width > left + edge - 400 && c.left < left + view + 400);
  const first = visible[0];
  const final = visible.at(-1);
  return {
    name, pinned, visible, width: at, before: first ? first.left - edge : 0, after: final ? at - final.left - final.width : at - edge,
  };
}
