// The metrics that runs have, asked anew when a run logs one that is not known.
import { api } from '../lib/api.ts';
import { taps, type Tap } from '../lib/sse.ts';

export type Facet = Awaited<ReturnType<typeof api.runColumns>>['items'][number];

/** A filter that finds the runs; ids are hexadecimal or made by a client, so they are quoted. */
export const idFilter = (ids: string[]): string => `attributes.id IN (${ids.map((id) => `'${id.replaceAll("'", "''")}'`).join(', ')})`;

const idsAtOnce = 300; // of a filter of 16 KiB

export class MetricNames {
  metrics = $state.raw<string[]>();
  facets = $state.raw<Facet[]>([]);
  error = $state.raw<unknown>();
  #ids: string[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asked = 0;

  follow(ids: string[]): () => void {
    this.#ids = ids;
    const mine = new Set(ids);
    const later = () => {
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined;
        void this.load();
      }, 1500);
    };
    const tap: Tap = {
      onEvents: (events) => {
        const known = new Set(this.metrics);
        const fresh = events.some((e) => e.type === 'metrics' && e.run && mine.has(e.run) && Object.keys(e.data as object).some((m) => !known.has(m)));
        if (fresh) later();
      },
      onReset: later,
    };
    taps.add(tap);
    void this.load();
    return () => {
      taps.delete(tap);
      clearTimeout(this.#timer);
      this.#timer = undefined;
    };
  }

  async load(): Promise<void> {
    const asked = ++this.#asked;
    const ids = this.#ids.slice(0, idsAtOnce);
    if (!ids.length) {
      this.metrics = [];
      return;
    }
    try {
      const got = await api.runColumns({ filter: idFilter(ids) });
      if (asked !== this.#asked) return;
      this.facets = got.items;
      const metrics = got.items.filter((f) => f.kind === 'metrics').map((f) => f.name);
      if (metrics.join('\n') !== this.metrics?.join('\n')) this.metrics = metrics;
      this.error = undefined;
    } catch (err) {
      if (asked === this.#asked) this.error = err;
    }
  }
}
