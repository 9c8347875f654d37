import { tick } from 'svelte';
import type { BookState } from './bookstate.svelte.ts';
import type { Folds } from './folds.svelte.ts';

/** Goes to a piece of the page, and unfolds what hides it. */
export async function goTo(book: BookState, folds: Folds, at: number): Promise<void> {
  const piece = book.blocks?.[at];
  if (!piece) return;
  folds.show(at);
  await tick();
  const el = document.querySelector<HTMLElement>(`[data-at="${at}"]`);
  el?.scrollIntoView({ block: 'start' });
  if (piece.cell) el?.focus({ preventScroll: true });
}

export const goToCell = (book: BookState, folds: Folds, id: string): Promise<void> =>
  goTo(book, folds, (book.blocks ?? []).findIndex((b) => b.cell === id));
