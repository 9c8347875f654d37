// Keys of an open notebook, as people know them: j and k go from cell to cell, Enter edits, a and b add a cell, d d removes
// one, Mod-Enter runs it, Mod-Z outside a field takes the last edit back.
import { keys } from '../frame/keys.svelte.ts';
import { t } from '../lib/i18n.ts';
import type { BookState } from './bookstate.svelte.ts';

const all = (): HTMLElement[] => [...document.querySelectorAll<HTMLElement>('[data-cell]')];
const here = (): HTMLElement | undefined => document.activeElement?.closest<HTMLElement>('[data-cell]') ?? undefined;

function step(by: number): void {
  const cells = all();
  const at = cells.indexOf(here()!);
  const next = cells[Math.min(cells.length - 1, Math.max(0, at < 0 ? 0 : at + by))];
  next?.focus();
  next?.scrollIntoView({ block: 'nearest' });
}

export function bindKeys(book: BookState): () => void {
  const id = () => here()?.dataset.cell;
  const remove = () => {
    const name = id();
    const at = name ? (book.blocks ?? []).findIndex((b) => b.cell === name) : -1;
    if (at < 0) return;
    book.replace(at, 1, []);
    step(0);
  };
  const run = () => {
    const name = id();
    if (name) void book.run([name]);
  };
  const add = (after: boolean) => {
    const box = here();
    const slots = [...document.querySelectorAll<HTMLSelectElement>('.add select')];
    if (!box) return slots.at(-1)?.focus();
    const following = slots.find((s) => box.compareDocumentPosition(s) & Node.DOCUMENT_POSITION_FOLLOWING);
    const before = slots.filter((s) => box.compareDocumentPosition(s) & Node.DOCUMENT_POSITION_PRECEDING).at(-1);
    (after ? following : before)?.focus();
  };
  const off = [
    keys.add({ combo: 'j', label: () => t('book.key.next'), act: () => step(1) }),
    keys.add({ combo: 'k', label: () => t('book.key.previous'), act: () => step(-1) }),
    keys.add({ combo: 'Enter', label: () => t('book.key.edit'), act: () => here()?.querySelector('textarea')?.focus() }),
    keys.add({ combo: 'mod+Enter', label: () => t('book.key.run'), act: run }),
    keys.add({ combo: 'a', label: () => t('book.key.above'), act: () => add(false) }),
    keys.add({ combo: 'b', label: () => t('book.key.below'), act: () => add(true) }),
    keys.add({ combo: 'd d', label: () => t('book.key.remove'), act: remove }),
    keys.add({ combo: 'z', label: () => t('book.undo'), act: () => book.undo() }),
  ];
  return () => off.forEach((f) => f());
}
