// Keys of an open report, as in a notebook: j and k go from block to block, Shift moves the block along, e edits, d d
// removes, z takes the last change back.
import { tick } from 'svelte';
import { keys } from '../frame/keys.svelte.ts';
import { t } from '../lib/i18n.ts';

export interface Acts {
  move: (at: number, by: 1 | -1) => void;
  remove: (at: number) => void;
  undo: () => void;
}

const all = (): HTMLElement[] => [...document.querySelectorAll<HTMLElement>('[data-block]')];
const here = (): number => all().indexOf(document.activeElement?.closest<HTMLElement>('[data-block]') as HTMLElement);

/** Gives the keyboard to the block at a place. */
export function focusBlock(at: number, part = ''): void {
  const blocks = all();
  const el = blocks[Math.min(at, blocks.length - 1)];
  ((part && el?.querySelector<HTMLElement>(part)) || el)?.focus();
  el?.scrollIntoView({ block: 'nearest' });
}

export function bindKeys(acts: Acts): () => void {
  const on = (act: (at: number) => void) => () => {
    const at = here();
    if (at >= 0) act(at);
  };
  const step = (by: 1 | -1) => () => focusBlock(here() < 0 ? 0 : Math.max(0, here() + by));
  const edit = (at: number) => all()[at]?.querySelector<HTMLElement>('textarea, [data-edit]')?.click();
  const off = [
    keys.add({ combo: 'j', label: () => t('reports.key.next'), act: step(1) }),
    keys.add({ combo: 'k', label: () => t('reports.key.previous'), act: step(-1) }),
    keys.add({ combo: 'shift+j', label: () => t('reports.key.down'), act: on((at) => acts.move(at, 1)) }),
    keys.add({ combo: 'shift+k', label: () => t('reports.key.up'), act: on((at) => acts.move(at, -1)) }),
    keys.add({ combo: 'e', label: () => t('reports.key.edit'), act: on(edit) }),
    keys.add({ combo: 'd d', label: () => t('reports.key.remove'), act: on((at) => { acts.remove(at); void tick().then(() => focusBlock(at)); }) }),
    keys.add({ combo: 'z', label: () => t('reports.key.undo'), act: () => acts.undo() }),
  ];
  return () => off.forEach((f) => f());
}
