// Keeps a table loaded: asks anew when its view asks for something else, and again when runs change.
import { untrack } from 'svelte';
import { connection } from '../lib/connection.svelte.ts';
import { follow } from './live.svelte.ts';
import type { RunTable } from './table.svelte.ts';

interface Grid {
  /** The lines in view. */
  shown: () => [number, number];
  toTop: () => void;
}

type Asked = RunTable['asked'];

export class Session {
  readonly #table: RunTable;
  readonly #grid: () => Grid | undefined;
  #asked: Asked | undefined;
  #named = '';

  constructor(table: RunTable, grid: () => Grid | undefined) {
    this.#table = table;
    this.#grid = grid;
  }

  async facets(): Promise<void> {
    try {
      await this.#table.list.loadFacets();
    } catch (err) {
      this.#table.list.error = err;
    }
  }

  async again(): Promise<void> {
    await this.#table.list.refresh(...(this.#grid()?.shown() ?? [0, 100]));
    if (this.#table.extras.length) await this.#extras();
  }

  async #extras(): Promise<void> {
    await this.#table.loadExtras().catch((err: unknown) => (this.#table.list.error = err));
  }

  /** Within an effect; what it gives ends it. */
  attend(): () => void {
    const table = this.#table;
    const { list, state, selection } = table;
    $effect(() => {
      if (list.facets) return this.#ask(table.asked);
    });
    $effect(() => {
      // They have values for the columns that the rows have; the first time both are asked for at once.
      const keys = list.shown?.keys ?? (list.facets && table.keys);
      const named = keys && JSON.stringify([table.view.baseline, table.view.shown, keys]);
      if (!named || named === this.#named) return;
      this.#named = named;
      void untrack(() => this.#extras());
    });
    $effect(() => {
      void connection.returns;
      untrack(() => void this.facets().then(() => list.shown && this.again()));
    });
    $effect(() => {
      state.selected = [...selection.ids];
      untrack(() => state.write());
    });
    return untrack(() => follow(list.experiments, () => void this.again(), () => void this.facets()));
  }

  // While a person types, a moment after the last key.
  #ask(asked: Asked): (() => void) | undefined {
    const before = this.#asked;
    if (before && JSON.stringify(before) === JSON.stringify(asked)) return undefined;
    const { list, state, rowHeight } = this.#table;
    const timer = setTimeout(() => {
      this.#asked = asked;
      const other = before && JSON.stringify([before.filter, before.order, before.group]) !== JSON.stringify([asked.filter, asked.order, asked.group]);
      void list.ask(asked, other ? 0 : Math.floor(state.top / rowHeight)).then(() => other && this.#grid()?.toTop());
    }, before && before.filter !== asked.filter ? 60 : 0);
    return () => clearTimeout(timer);
  }
}
