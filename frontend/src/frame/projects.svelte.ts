// The experiments of the sidebar, by folder, and how much the queue holds.
import { api } from '../lib/api.ts';
import { connection } from '../lib/connection.svelte.ts';
import type { Experiment } from '../lib/types.ts';
import type { SavedView } from '../runs/views.svelte.ts';

export interface Folder {
  /** '' for what is in none. */
  name: string;
  experiments: Experiment[];
}

const shown = 40;

/** Experiments by folder, those worked on last first. Without a folder, a name "team/rank" stands in "team". */
export function folders(all: Experiment[], limit = shown): Folder[] {
  const last = (e: Experiment) => e.last_run_at || e.created_at;
  const recent = [...all].sort((a, b) => last(b).localeCompare(last(a))).slice(0, limit);
  const by = new Map<string, Experiment[]>();
  for (const e of recent) {
    const folder = folderOf(e);
    by.set(folder, [...(by.get(folder) ?? []), e]);
  }
  return [...by].map(([name, experiments]) => ({ name, experiments })).sort((a, b) => Number(!a.name) - Number(!b.name));
}

const cut = (e: Experiment): number => (e.folder ? -1 : e.name.lastIndexOf('/'));
export const folderOf = (e: Experiment): string => e.folder || e.name.slice(0, Math.max(0, cut(e)));
export const leafOf = (e: Experiment): string => e.name.slice(cut(e) + 1) || e.name;

/** Where a saved view is shown. */
export const viewHref = (v: SavedView): string =>
  `${v.experiment ? `/experiments/${encodeURIComponent(v.experiment)}` : '/runs'}?view=${encodeURIComponent(v.id)}`;

class Projects {
  experiments = $state.raw<Experiment[]>([]);
  more = $state(false);
  waiting = $state(0);
  /** Whether queries are answered here, or wait for a person; and how many wait. */
  think = $state(false);
  escalations = $state(0);
  #asked = -1; // which of the connection's returns the server was asked what it has
  views = $state.raw<SavedView[]>([]);
  readonly folders = $derived(folders(this.experiments));

  /** A failure is not told here: the page's own request meets it too, and the banner tells of a lost server. */
  async load(): Promise<void> {
    try {
      if (this.#asked !== connection.returns) {
        const returns = connection.returns;
        this.think = (await api.info()).escalations;
        this.#asked = returns;
      }
      const [list, queue, views, waiting] = await Promise.all([api.experiments(200), api.queue(), api.views(), this.think ? api.escalations() : undefined]);
      this.experiments = list.items ?? [];
      this.more = !!list.next_cursor || this.experiments.length > shown;
      this.views = views.items ?? [];
      this.escalations = waiting?.items?.length ?? 0;
      this.waiting = queue.items?.length ?? 0;
    } catch {
      // as it was
    }
  }

  name(id: string): string | undefined {
    return this.experiments.find((e) => e.id === id)?.name;
  }
}

export const projects = new Projects();
