// The arrangement of a workspace that belongs to no saved view: the browser remembers it.
import { recall, remember } from '../lib/prefs.svelte.ts';

export class KeptView {
  view = $state.raw<{ panels: unknown[] }>({ panels: [] });
  readonly #key: string;

  constructor(name: string) {
    this.#key = `panels.${name}`;
    try {
      const kept: unknown = JSON.parse(recall(this.#key) ?? '[]');
      if (Array.isArray(kept)) this.view = { panels: kept };
    } catch {
      // what was kept is not ours: the usual arrangement
    }
  }

  readonly take = (change: { panels: unknown[] }): void => {
    this.view = change;
    remember(this.#key, JSON.stringify(change.panels));
  };
}
