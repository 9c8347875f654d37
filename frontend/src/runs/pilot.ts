// Carries out what the keyboard asks of a table.
import type { Command } from './keys.ts';
import type { RunTable } from './table.svelte.ts';

interface Page {
  grid: () => { show: (line: number) => void } | undefined;
  open: (run: string) => void;
  filter: () => void;
  help: () => void;
  edit: (run: string) => void;
  compare: (runs: string[]) => void;
}

export class Pilot {
  readonly #table: RunTable;
  readonly #page: Page;

  constructor(table: RunTable, page: Page) {
    this.#table = table;
    this.#page = page;
  }

  /** Whether it was done; a command that means nothing now is left to the browser. */
  does(c: Command): boolean {
    const { list, selection, state } = this.#table;
    const line = list.line(selection.active);
    const row = line?.kind === 'run' ? line.row : undefined;
    switch (c.do) {
      case 'move': return this.#go(selection.active < 0 ? (c.by > 0 ? 0 : list.lines - 1) : selection.active + c.by, c.extend);
      case 'first': return this.#go(0, false);
      case 'last': return this.#go(list.lines - 1, false);
      case 'filter': this.#page.filter(); return true;
      case 'help': this.#page.help(); return true;
      case 'all': void selection.all(); return true;
      case 'clear':
        if (selection.ids.size) selection.clear();
        else if (selection.active >= 0) selection.active = -1;
        else if (state.view.filter) state.change({ filter: '' });
        else return false;
        return true;
      case 'select': if (row) selection.toggle(row.id, selection.active); return !!row;
      case 'open':
        if (line?.kind === 'group') list.opened.set(line.section.id, !list.isOpen(line.section));
        else if (row) this.#page.open(row.id);
        return !!line;
      case 'fold':
        if (list.nested && line?.kind === 'run' && row?.children) void list.unfold(line.branch, row.id);
        else if (line?.section.group) list.opened.set(line.section.id, !list.isOpen(line.section));
        return !!line;
      case 'edit': if (row) this.#page.edit(row.id); return !!row;
      case 'compare': {
        const ids = this.#table.compared(row?.id);
        if (ids.length > 1) this.#page.compare(ids);
        return ids.length > 1;
      }
      case 'hide': if (row) this.#table.toggleDrawn(row.id); return !!row;
    }
  }

  #go(line: number, extend: boolean): boolean {
    const { list, selection } = this.#table;
    const to = Math.min(Math.max(line, 0), list.lines - 1);
    if (to < 0) return false;
    this.#page.grid()?.show(to);
    if (extend) void selection.extend(to);
    else selection.active = to;
    return true;
  }
}
