// Which runs are chosen, and on which line the keyboard stands.
import { SvelteSet } from 'svelte/reactivity';
import type { RunList } from './list.svelte.ts';

export class Selection {
  readonly ids = new SvelteSet<string>();
  /** The line the keyboard is on; -1: none. */
  active = $state(-1);
  error = $state.raw<unknown>();
  #anchor = -1;
  readonly #list: RunList;

  constructor(list: RunList, ids: string[]) {
    this.#list = list;
    for (const id of ids) this.ids.add(id);
  }

  toggle(id: string, line: number): void {
    if (!this.ids.delete(id)) this.ids.add(id);
    this.#anchor = this.active = line;
  }

  /** Chooses everything between the line chosen last and this one. */
  async extend(line: number): Promise<void> {
    const from = this.#anchor < 0 ? line : this.#anchor;
    this.active = line;
    try {
      for (const id of await this.#list.ids(Math.min(from, line), Math.max(from, line) + 1)) this.ids.add(id);
    } catch (err) {
      this.error = err;
    }
  }

  /** Chooses every run that matches, or none where all are chosen. */
  async all(): Promise<void> {
    if (this.ids.size > 0 && this.ids.size >= this.#list.matched) return this.clear();
    try {
      for (const id of await this.#list.allIds()) this.ids.add(id);
    } catch (err) {
      this.error = err;
    }
  }

  clear(): void {
    this.ids.clear();
    this.#anchor = -1;
    this.error = undefined;
  }

  set(ids: string[]): void {
    this.clear();
    for (const id of ids) this.ids.add(id);
  }
}
