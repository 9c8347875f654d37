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

/** A place of the page in which a row of the list is drawn. */
export interface Slot {
  id: number;
  row: number;
}

/** The slots for the rows from first to before last, in order. A row that is drawn already keeps its slot, and a slot whose
 *  row went out of view takes one that came in: scrolling makes no elements. Where nothing is kept, none changes its place. */
export function slots(before: Slot[], first: number, last: number): Slot[] {
  const kept = before.filter((s) => s.row >= first && s.row < last);
  const free = before.filter((s) => s.row < first || s.row >= last).map((s) => s.id);
  let fresh = before.reduce((n, s) => Math.max(n, s.id + 1), 0);
  const from = kept[0]?.row ?? last;
  const to = kept.length ? kept[kept.length - 1]!.row + 1 : last;
  const take = (row: number): Slot => ({ id: free.shift() ?? fresh++, row });
  const fill = (a: number, b: number) => Array.from({ length: Math.max(0, b - a) }, (_, i) => take(a + i));
  return [...fill(first, from), ...kept, ...fill(to, last)];
}

/** Before a slot shows another row: a keyboard that stands in it stands in the list from then on, and acts on no other row. */
export function holdFocus(list: HTMLElement | undefined, first: number, last: number): void {
  const at = list?.ownerDocument.activeElement;
  if (!at || at === list || !list.contains(at)) return;
  const line = Number(at.closest<HTMLElement>('[data-line]')?.dataset.line ?? -1);
  if (line >= 0 && (line < first || line >= last)) list.focus({ preventScroll: true });
}

/** The place that shows a row; undefined where it is in view already. head is what covers the upper edge. */
export function reveal(index: number, total: number, row: number, top: number, height: number, head = 0): number | undefined {
  if (total * row > highest) return (index / Math.max(1, total)) * (highest - height);
  const at = index * row;
  if (at < top) return at;
  return at + row > top + height - head ? at + row - height + head : undefined;
}
