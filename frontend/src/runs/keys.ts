// The keyboard of a list of runs. Single letters can be switched off (WCAG 2.2, 2.1.4), and none counts while an input
// method composes.

export type Command =
  | { do: 'move'; by: number; extend: boolean }
  | { do: 'first' | 'last' | 'select' | 'all' | 'open' | 'clear' | 'filter' | 'help' | 'edit' | 'hide' | 'fold' | 'compare' };

/** The parts of a KeyboardEvent that count. */
export interface Key {
  key: string;
  isComposing: boolean;
  keyCode: number;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  shiftKey: boolean;
}

/** What a key asks for. on is where the key was pressed: in a field that takes text, on a control, or elsewhere. */
export function command(e: Key, on: 'text' | 'control' | 'elsewhere', letters: boolean, page: number): Command | undefined {
  if (e.isComposing || e.keyCode === 229 || e.altKey || on === 'text') return undefined;
  if (e.ctrlKey || e.metaKey) return e.key.toLowerCase() === 'a' && on === 'elsewhere' && !e.shiftKey ? { do: 'all' } : undefined;
  const move = (by: number): Command => ({ do: 'move', by, extend: e.shiftKey });
  switch (e.key) {
    case 'Escape': return { do: 'clear' };
    case 'ArrowDown': return move(1);
    case 'ArrowUp': return move(-1);
    case 'PageDown': return move(page);
    case 'PageUp': return move(-page);
    case 'Home': return { do: 'first' };
    case 'End': return { do: 'last' };
    case 'Enter': return on === 'elsewhere' ? { do: 'open' } : undefined;
    case ' ': return on === 'elsewhere' ? { do: 'select' } : undefined;
  }
  if (!letters) return undefined;
  switch (e.key) {
    case 'j': case 'J': return move(1);
    case 'k': case 'K': return move(-1);
    case 'x': return { do: 'select' };
    case 'e': return { do: 'edit' };
    case 'c': return { do: 'compare' };
    case 'h': return { do: 'hide' };
    case 'o': return { do: 'fold' };
    case '/': return { do: 'filter' };
    case '?': return { do: 'help' };
  }
  return undefined;
}

/** Where a key was pressed. */
export function place(target: EventTarget | null): 'text' | 'control' | 'elsewhere' {
  if (!(target instanceof Element)) return 'elsewhere';
  if (target.closest('textarea, select, [contenteditable=""], [contenteditable=true], input:not([type=checkbox], [type=radio], [type=button])')) return 'text';
  return target.closest('button, a, input, summary, [role=menuitem]') ? 'control' : 'elsewhere';
}
