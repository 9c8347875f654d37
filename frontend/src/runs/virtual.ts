// Which rows of a long list are in view. All rows of a list are equally high, so that this is one division and the page
// never jumps while rows are loaded.

/** Browsers lay out no box much higher than this; a longer list is scrolled through in proportion. */
export const highest = 15_000_000;

export interface Viewport {
  first: number; // of the rows drawn
  last: number; // one after
  above: number; // px of the space before the first
  below: number;
}

/** The rows drawn at a place: those in view, and spare ones on both sides, so that scrolling shows no gaps. */
export function viewport(total: number, row: number, top: number, height: number, spare = 8): Viewport {
  const whole = Math.min(total * row, highest);
  const rows = Math.ceil(height / row) + 1;
  const furthest = Math.max(0, total * row - height);
  const reach = Math.max(1, whole - height);
  // In proportion only where the list is too high for a box: elsewhere a pixel is a pixel.
  const at = total * row <= highest ? Math.min(Math.max(top, 0), furthest) : Math.round((Math.min(Math.max(top, 0), reach) / reach) * furthest);
  const first = Math.max(0, Math.floor(at / row) - spare);
  const last = Math.min(total, Math.floor(at / row) + rows + spare);
  const above = total * row <= highest ? first * row : Math.max(0, top - (at - first * row));
  return { first, last, above, below: Math.max(0, whole - above - (last - first) * row) };
}

/** The place that shows a row; undefined where it is in view already. head is what covers the upper edge. */
export function reveal(index: number, total: number, row: number, top: number, height: number, head = 0): number | undefined {
  if (total * row > highest) return (index / Math.max(1, total)) * (highest - height);
  const at = index * row;
  if (at < top) return at;
  return at + row > top + height - head ? at + row - height + head : undefined;
}
