// The compared runs as the server has them, and where their A/B tests were measured.
import { SvelteMap } from 'svelte/reactivity';
import { api, ApiError } from '../lib/api.ts';
import { eachLimited } from '../lib/load.ts';
import { hasABTest } from '../lib/trials.ts';
import type { ModuleResult, Run } from '../lib/types.ts';
import type { Environment } from './facts.ts';

const atOnce = 4;

async function unless<T>(work: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await work;
  } catch (err) {
    if (err instanceof ApiError && err.code === 'not_found') return otherwise;
    throw err;
  }
}

export class Compared {
  readonly #known = new SvelteMap<string, Run | null>(); // null: it is not there
  /** Of runs with an A/B test. */
  readonly measured = new SvelteMap<string, Environment>();
  /** How many rows a run has judged, where that is known. */
  readonly rows = new SvelteMap<string, number>();
  /** What metric modules gave, by run: a series of theirs is told by a key. */
  readonly modules = new SvelteMap<string, ModuleResult[]>();
  error = $state.raw<unknown>();
  readonly #whole = new Set<string>();

  runs(ids: string[]): Run[] {
    return ids.flatMap((id) => this.#known.get(id) ?? []);
  }

  /** How many of the runs are not there. */
  gone(ids: string[]): number {
    return ids.filter((id) => this.#known.get(id) === null).length;
  }

  /** Reads what is not known yet, until what it gives is called. */
  follow(ids: string[]): () => void {
    const abort = new AbortController();
    this.error = undefined;
    const missing = ids.filter((id) => !this.#whole.has(id));
    const into = <T>(map: SvelteMap<string, T>, id: string, value: T) => void (abort.signal.aborted || map.set(id, value));
    eachLimited(missing, atOnce, async (id) => {
      const run = await unless<Run | null>(api.run(id), null);
      into(this.#known, id, run);
      if (run && hasABTest(run) === false) into(this.rows, id, 0);
      else if (run) {
        const at = await unless(api.environment(id), undefined);
        into(this.rows, id, at?.rows ?? 0);
        if (at) into(this.measured, id, { ...(at.device ? { device: at.device } : {}), ...at.environment });
      }
      if (Object.keys(run?.summary ?? {}).some((m) => m.startsWith('abtest/metric/'))) {
        into(this.modules, id, (await unless(api.moduleResults(id), { items: [] })).items ?? []);
      }
      if (!abort.signal.aborted) this.#whole.add(id);
    }, abort.signal).catch((err) => (this.error = err));
    return () => abort.abort();
  }
}
