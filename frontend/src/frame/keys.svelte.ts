// Keys that act anywhere on a page. They never act while an input method composes, in a field that is written in, or
// behind a dialog; keys with Mod (Ctrl, or Command on a Mac) act in fields too.

import { untrack } from 'svelte';

export interface Shortcut {
  /** 'j', '?', 'mod+k', 'shift+x', or two keys after each other: 'g q'. */
  combo: string;
  label: () => string;
  act: (e: KeyboardEvent) => void;
  /** It acts while a field is written in, too, as keys with Mod do. */
  fields?: boolean;
  /** Whether it is its turn; where not, the key does what it does by itself. */
  when?: () => boolean;
}

/** What is looked at of a key that was pressed. */
export type Pressed = Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'metaKey' | 'altKey' | 'shiftKey' | 'isComposing' | 'keyCode'>;

/** Whether the key belongs to an input method. Chromium says 229 for the key that ends a composition in some. */
export const composing = (e: Pick<KeyboardEvent, 'isComposing' | 'keyCode'>): boolean => e.isComposing || e.keyCode === 229;

/** The key as a combo names it; '' for one that is none (a lone modifier, Alt). */
export function comboOf(e: Pressed): string {
  if (e.altKey || /^(Shift|Control|Meta|Alt|Dead|Process|Unidentified)$/.test(e.key)) return '';
  const letter = e.key.length === 1 && /\p{L}/u.test(e.key);
  const key = e.key.length === 1 ? e.key.toLowerCase() : e.key;
  return `${e.ctrlKey || e.metaKey ? 'mod+' : ''}${e.shiftKey && (letter || e.key.length > 1) ? 'shift+' : ''}${key}`;
}

const written = (el: Element | null): boolean =>
  !!el?.closest('textarea, select, [contenteditable]:not([contenteditable="false"])') ||
  (el instanceof HTMLInputElement && !/^(checkbox|radio|button|submit|reset|range|color|file|image)$/.test(el.type));

const sequenceMS = 1200;

export class Keys {
  list = $state.raw<Shortcut[]>([]);
  #pending = '';
  #at = 0;

  /** Adds a key; the newest of one combo acts. Gives what removes it. */
  add(s: Shortcut): () => void {
    const change = (next: (list: Shortcut[]) => Shortcut[]) => untrack(() => (this.list = next(this.list))); // in an effect
    change((list) => [...list, s]);
    return () => void change((list) => list.filter((x) => x !== s));
  }

  /** Does what a key stands for; where says what has the focus. */
  press(e: KeyboardEvent, where: { field: boolean; dialog: boolean }): void {
    if (e.defaultPrevented || composing(e)) return;
    const combo = comboOf(e);
    if (!combo || where.dialog || (where.field && !combo.startsWith('mod+') && !this.list.some((s) => s.combo === combo && s.fields))) {
      this.#pending = '';
      return;
    }
    const now = performance.now();
    const sequence = this.#pending && now - this.#at < sequenceMS ? `${this.#pending} ${combo}` : '';
    this.#pending = '';
    const found = this.#find(sequence) ?? this.#find(combo);
    if (found) {
      e.preventDefault();
      found.act(e);
    } else if (this.list.some((s) => s.combo.startsWith(`${combo} `))) {
      this.#pending = combo;
      this.#at = now;
    }
  }

  #find(combo: string): Shortcut | undefined {
    return combo ? this.list.findLast((s) => s.combo === combo && (s.when?.() ?? true)) : undefined;
  }
}

export const keys = new Keys();

if (typeof window !== 'undefined') {
  addEventListener('keydown', (e) =>
    keys.press(e, { field: written(document.activeElement), dialog: !!document.querySelector('dialog[open]') }),
  );
}

const mac = typeof navigator !== 'undefined' && /Mac|iPhone|iPad/.test(navigator.platform);

/** A combo as it is printed on the keys. */
export function comboText(combo: string): string {
  return combo
    .split(' ')
    .map((part) => part.replace('mod+', mac ? '⌘' : 'Ctrl ').replace('shift+', mac ? '⇧' : 'Shift ').replace(/(\p{L})$/u, (c) => c.toUpperCase()))
    .join(' ');
}
