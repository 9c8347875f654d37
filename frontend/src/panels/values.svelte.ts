// Parameters and figures of runs, for the panels that show a mark a run.
import { api } from '../lib/api.ts';
import type { Column } from '../lib/runs.ts';
import { idFilter, type Facet } from './names.svelte.ts';
import type { RunRef } from './spec.ts';
import { numberOf, type Cell } from './stats.ts';

const idsAtOnce = 300; // of a filter of 16 KiB

/** A column as the server's key, quoted, since a name may hold anything. */
function keyOf(c: Column): string {
  const kind = { metric: 'metrics', param: 'params', tag: 'tags' }[c.slice(0, c.indexOf(':')) as 'metric' | 'param' | 'tag'];
  return `${kind}.\`${c.slice(c.indexOf(':') + 1).replaceAll('`', '``')}\``;
}

export interface Row {
  run: RunRef;
  /** Of a column, "param:lr" or "metric:loss". */
  cell: (c: Column) => Cell;
}

export class RunValues {
  rows = $state.raw<Row[]>();
  /** Parameters that differ among the runs, those that have few values first. */
  varying = $state.raw<string[]>([]);
  error = $state.raw<unknown>();
  #asked = 0;

  /** Reads columns of runs; with none, those of the parameters that vary, and the metric. */
  async load(runs: RunRef[], metric: string | undefined, columns?: string[]): Promise<void> {
    const asked = ++this.#asked;
    try {
      const refs = new Map(runs.map((r) => [r.id, r]));
      const ids = [...refs.keys()];
      const parts: string[][] = [];
      for (let i = 0; i < ids.length; i += idsAtOnce) parts.push(ids.slice(i, i + idsAtOnce));
      let wanted = columns;
      let varying: string[] = [];
      if (!wanted && ids.length) {
        const facets = (await api.runColumns({ filter: idFilter(parts[0]!) })).items;
        varying = varies(facets);
        wanted = varying.map((p) => `param:${p}`);
      }
      const keys = [...new Set([...(wanted ?? []), ...(metric ? [`metric:${metric}`] : [])])].slice(0, 60) as Column[];
      const rows: Row[] = [];
      for (const part of parts) {
        const page = await api.searchRuns({ filter: idFilter(part), columns: keys.map(keyOf), limit: idsAtOnce });
        const names = new Map(keys.map((c, i) => [c, page.columns[i]!])); // as the server calls them
        for (const item of page.items) {
          const run = refs.get(item.id)!;
          rows.push({ run, cell: (c) => run.values?.[c] ?? plain(item.values[names.get(c) ?? '']) });
        }
      }
      if (asked !== this.#asked) return;
      const order = new Map(ids.map((id, i) => [id, i]));
      this.rows = rows.filter((r) => r.run).sort((a, b) => order.get(a.run.id)! - order.get(b.run.id)!);
      this.varying = varying;
      this.error = undefined;
    } catch (err) {
      if (asked === this.#asked) this.error = err;
    }
  }
}

const plain = (v: string | number | boolean | undefined): Cell => (typeof v === 'boolean' ? String(v) : v);

const varies = (facets: Facet[]): string[] =>
  facets.filter((f) => f.kind === 'params' && f.varies).sort((a, b) => Number(b.least !== undefined) - Number(a.least !== undefined) || a.distinct - b.distinct).slice(0, 40).map((f) => f.name);

/** Whether a column's values are numbers wherever there are any, and whether they span so much that a log axis shows them. */
export function scaleOf(values: Cell[]): 'linear' | 'log' | 'category' {
  const some = values.filter((v) => v !== undefined);
  const numbers = some.map(numberOf);
  if (!some.length || numbers.some((v) => !Number.isFinite(v))) return 'category';
  const [min, max] = [Math.min(...numbers), Math.max(...numbers)];
  return min > 0 && max / min >= 20 ? 'log' : 'linear';
}
