// Keys of an open notebook, as people know them from others: j and k go from cell to cell, Enter edits, Mod-Enter runs, Shift-Enter
// runs and goes on, a and b add a cell, m writes text, d d removes, z takes an edit back.
import { tick } from 'svelte';
import { keys } from '../frame/keys.svelte.ts';
import { t } from '../lib/i18n.ts';
import type { BookState } from './bookstate.svelte.ts';

const all = (): HTMLElement[] => [...document.querySelectorAll<HTMLElement>('[data-cell]')];
const here = (): HTMLElement | undefined => document.activeElement?.closest<HTMLElement>('[data-cell]') ?? undefined;
const inField = () => document.activeElement?.matches('textarea, select, input') ?? false;

function go(at: number): void {
  const cells = all();
  const next = cells[Math.min(cells.length - 1, Math.max(0, at))];
  next?.focus();
  next?.scrollIntoView({ block: 'nearest' });
}

function step(by: number): void {
  const at = all().indexOf(here()!);
  go(at < 0 ? 0 : at + by);
}

export function bindKeys(book: BookState): () => void {
  const id = () => here()?.dataset.cell;
  const placeOf = (name: string | undefined) => (name ? (book.blocks ?? []).findIndex((b) => b.cell === name) : -1);
  const remove = async () => {
    const at = placeOf(id());
    const place = all().indexOf(here()!);
    if (at < 0) return;
    book.replace(at, 1, []);
    await tick();
    go(place);
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
  /** Writes text below the cell: in the blank lines there, or in new ones. */
  const write = async () => {
    const pieces = book.blocks ?? [];
    const at = (placeOf(id()) + 1 || pieces.length);
    const next = pieces[at];
    if (!(next?.type === 'prose' && next.text.trim() === '')) book.insert(at, '\n');
    await tick();
    document.querySelector<HTMLElement>(`[data-prose="${book.blocks![at]!.key}"] .edit`)?.click();
  };
  const off = [
    keys.add({ combo: 'j', label: () => t('book.key.next'), act: () => step(1) }),
    keys.add({ combo: 'k', label: () => t('book.key.previous'), act: () => step(-1) }),
    // On a button or a link in the cell it does what it does there.
    keys.add({ combo: 'Enter', label: () => t('book.key.edit'), when: () => here() === document.activeElement && !!here(), act: () => here()?.querySelector('textarea')?.focus() }),
    keys.add({ combo: 'mod+Enter', label: () => t('book.key.run'), act: run }),
    keys.add({
      combo: 'shift+Enter', label: () => t('book.key.runOn'), fields: true, when: () => !!here(),
      act: () => {
        run();
        step(1);
      },
    }),
    keys.add({ combo: 'a', label: () => t('book.key.above'), act: () => add(false) }),
    keys.add({ combo: 'b', label: () => t('book.key.below'), act: () => add(true) }),
    keys.add({ combo: 'm', label: () => t('book.key.write'), act: () => void write() }),
    keys.add({ combo: 'd d', label: () => t('book.key.remove'), act: () => void remove() }),
    keys.add({ combo: 'z', label: () => t('book.undo'), act: () => void book.undo() }),
    keys.add({ combo: 'shift+z', label: () => t('book.redo'), act: () => void book.redo() }),
    // In a field these are the field's own.
    keys.add({ combo: 'mod+z', label: () => t('book.undo'), when: () => !inField(), act: () => void book.undo() }),
    keys.add({ combo: 'mod+shift+z', label: () => t('book.redo'), when: () => !inField(), act: () => void book.redo() }),
  ];
  return () => off.forEach((f) => f());
}
