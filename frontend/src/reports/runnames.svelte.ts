// What the runs that blocks name are called.
import { SvelteMap } from 'svelte/reactivity';
import { api } from '../lib/api.ts';
import { oneOf, type Found } from '../runs/search.ts';

const atOnce = 100;

export class RunNames {
  readonly #known = new SvelteMap<string, Found | null>(); // null: it is gone
  readonly #asked = new Set<string>();
  error = $state.raw<unknown>();

  /** Reads those that are not known yet. */
  async want(ids: string[]): Promise<void> {
    const missing = ids.filter((id) => !this.#asked.has(id));
    for (let i = 0; i < missing.length; i += atOnce) {
      const part = missing.slice(i, i + atOnce);
      part.forEach((id) => this.#asked.add(id));
      try {
        const found = await api.searchRuns({ filter: oneOf(part), archived: 'also', limit: part.length });
        const by = new Map(found.items.map((r) => [r.id, r]));
        part.forEach((id) => this.#known.set(id, by.get(id) ?? null));
        this.error = undefined;
      } catch (err) {
        part.forEach((id) => this.#asked.delete(id));
        this.error = err;
        return;
      }
    }
  }

  gone(id: string): boolean {
    return this.#known.get(id) === null;
  }

  of(id: string): string {
    return this.#known.get(id)?.name || id.slice(0, 8);
  }
}
