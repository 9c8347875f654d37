// The runs of an experiment that a table shows: found, ordered and paged by the server, and found again when they
// change.
import { api, ApiError } from './api.ts';
import type { Column } from './runs.ts';
import { cells, joined, orderBy, searchKey, usualColumns, type Facets, type Found, type SearchPage, type Sort } from './search.ts';

const page = 100;
const most = 1000; // of one answer

export interface Asked {
  filter: string;
  status: string;
  sort: Sort;
  chosen?: Column[];
}

export class RunList {
  facets = $state.raw<Facets>();
  found = $state.raw<SearchPage>();
  /** The columns that found has values of. */
  columns = $state.raw<Column[]>([]);
  /** What is wrong with the filter, said beside it; the table stays as it was. */
  wrong = $state.raw<ApiError>();
  error = $state.raw<unknown>();
  busy = $state(false);

  readonly value = $derived.by(() => (this.found ? cells(this.columns, this.found) : () => undefined));

  private readonly experiment: string;
  private asked: Asked | undefined;
  private turn = 0;

  constructor(experiment: string) {
    this.experiment = experiment;
  }

  /** Loads what is asked for, rows at least so many. */
  async ask(asked: Asked, rows = page): Promise<void> {
    this.asked = asked;
    const turn = ++this.turn;
    this.busy = true;
    try {
      this.facets = await api.runColumns({ experiments: [this.experiment] });
      const columns = asked.chosen ?? usualColumns(this.facets.items);
      const found = await this.search(asked, columns, Math.min(Math.max(rows, page), most));
      if (turn !== this.turn) return;
      this.columns = columns;
      this.found = found;
      this.wrong = this.error = undefined;
    } catch (err) {
      if (turn !== this.turn) return;
      if (err instanceof ApiError && err.code === 'invalid' && asked.filter) this.wrong = err;
      else this.error = err;
    } finally {
      if (turn === this.turn) this.busy = false;
    }
  }

  private search(asked: Asked, columns: Column[], limit: number, cursor?: string): Promise<SearchPage> {
    return api.searchRuns({
      filter: joined(asked.filter, asked.status), order_by: orderBy(asked.sort), experiments: [this.experiment],
      columns: columns.map(searchKey), limit, cursor,
    });
  }

  /** Finds again what is shown. */
  async refresh(): Promise<void> {
    if (this.asked) await this.ask(this.asked, this.found?.items.length);
  }

  async more(): Promise<void> {
    const { asked, found } = this;
    if (!asked || !found?.next_cursor || this.busy) return;
    const turn = ++this.turn;
    this.busy = true;
    try {
      const next = await this.search(asked, this.columns, page, found.next_cursor);
      if (turn !== this.turn) return;
      const shown = new Set(found.items.map((r) => r.id)); // a run that changed meanwhile may come again
      this.found = { ...next, items: [...found.items, ...next.items.filter((r: Found) => !shown.has(r.id))] };
    } catch (err) {
      if (turn === this.turn) this.error = err;
    } finally {
      if (turn === this.turn) this.busy = false;
    }
  }
}
