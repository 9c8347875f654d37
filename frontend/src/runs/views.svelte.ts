// The saved views of an experiment, or those of all runs.
import { api } from '../lib/api.ts';
import { asView, viewQuery } from './view.ts';
import type { ViewState } from './viewstate.svelte.ts';

export interface SavedView {
  id: string;
  name: string;
  experiment?: string;
  /** As it was saved; lists leave it out. */
  body?: unknown;
  revision: number;
}

export class SavedViews {
  items = $state.raw<SavedView[]>([]);
  /** The open one as the server has it. */
  current = $state.raw<SavedView>();
  error = $state.raw<unknown>();
  busy = $state(false);
  readonly #state: ViewState;
  readonly #experiment: string | undefined;

  constructor(state: ViewState, experiment?: string) {
    this.#state = state;
    this.#experiment = experiment;
  }

  readonly #shown = $derived.by(() => this.#whole(this.#state.view));
  readonly changed = $derived(!!this.current && this.#whole(asView(this.current.body)) !== this.#shown);

  #whole(v: unknown): string {
    const view = asView(v);
    return viewQuery({ ...view, panels: [], charts: {} }) + JSON.stringify([view.hidden, view.shown, view.panels, view.charts]);
  }

  async #try(work: () => Promise<void>): Promise<boolean> {
    this.busy = true;
    try {
      await work();
      this.error = undefined;
      return true;
    } catch (err) {
      this.error = err;
      return false;
    } finally {
      this.busy = false;
    }
  }

  async load(): Promise<void> {
    await this.#try(async () => {
      const got = (await api.views(this.#experiment)).items ?? [];
      this.items = got.filter((v) => (v.experiment ?? '') === (this.#experiment ?? ''));
      const saved = this.#state.saved;
      if (this.current?.id === saved && !this.#state.named) return;
      const current = this.items.some((v) => v.id === saved) ? await api.view(saved) : undefined;
      if (this.#state.saved !== saved) return; // another was opened meanwhile
      this.current = current;
      if (current && this.#state.named) this.#state.take(asView(current.body));
    });
  }

  async open(id: string): Promise<void> {
    await this.#try(async () => {
      const view = await api.view(id);
      this.current = view;
      this.#state.open(asView(view.body), id);
    });
  }

  save(name: string): Promise<boolean> {
    return this.#try(async () => {
      const body = $state.snapshot(this.#state.view);
      const made = await api.createView({ name, body, ...(this.#experiment ? { experiment: this.#experiment } : {}) });
      this.current = { ...made, body };
      this.#state.saved = made.id;
      this.#state.write();
      await this.load();
    });
  }

  /** Saves what is shown over the open view; refused where another window saved it since it was opened. */
  update(): Promise<boolean> {
    return this.#patch({ body: $state.snapshot(this.#state.view) });
  }

  async rename(name: string): Promise<boolean> {
    return (await this.#patch({ name })) && (await this.load(), true);
  }

  #patch(part: { name?: string; body?: unknown }): Promise<boolean> {
    return this.#try(async () => {
      const before = this.current!;
      const made = await api.patchView(before.id, part, before.revision);
      this.current = { ...before, ...part, revision: made.revision };
    });
  }

  remove(): Promise<boolean> {
    return this.#try(async () => {
      await api.deleteView(this.current!.id);
      this.current = undefined;
      this.#state.saved = '';
      this.#state.write();
      this.items = ((await api.views(this.#experiment)).items ?? []).filter((v) => (v.experiment ?? '') === (this.#experiment ?? ''));
    });
  }
}
