// The rows of one search, of which only the windows that were looked at are here. The server keeps the order that the
// search found: a window anywhere in it is one request, and what was logged since does not move the rows.
import { api, ApiError } from '../lib/api.ts';
import { rowsOfTable, type Note, type Row, type SearchRequest, type TablePage } from './search.ts';

export const windowRows = 100;
const mostAtOnce = 1000; // rows of an answer
const requests = 2; // at once

export class RunWindow {
  total = $state(0);
  notes = $state.raw<Note[]>([]);
  /** Full names of the asked columns. */
  columns = $state.raw<string[]>([]);
  error = $state.raw<unknown>();
  #version = $state(0);
  readonly #asked: Omit<SearchRequest, 'cursor' | 'limit' | 'offset' | 'snapshot'>;
  #pages = new Map<number, (Row | undefined)[]>();
  #old = new Set<number>(); // pages to be read again when they are looked at
  #loading = new Set<number>();
  #wanted: number[] = [];
  #snapshot = '';
  #turn = 0;

  constructor(asked: Omit<SearchRequest, 'cursor' | 'limit' | 'offset' | 'snapshot'>) {
    this.#asked = asked;
  }

  /** The row at a place; undefined while it is loaded, and where the run was removed since the search. */
  at(index: number): Row | undefined {
    void this.#version;
    return this.#pages.get(Math.floor(index / windowRows))?.[index % windowRows];
  }

  /** The rows that are here, in order, with their places. */
  loaded(): { row: Row; index: number }[] {
    void this.#version;
    return [...this.#pages.keys()].sort((a, b) => a - b).flatMap((p) =>
      this.#pages.get(p)!.flatMap((row, i) => (row ? [{ row, index: p * windowRows + i }] : [])),
    );
  }

  /** Reads what is missing of the rows from first to before last. Of several calls the newest counts: what was scrolled
   *  past is not read. */
  need(first: number, last: number): void {
    this.#wanted = [];
    for (let p = Math.floor(first / windowRows); p <= Math.floor(Math.max(first, last - 1) / windowRows); p++) {
      if ((!this.#pages.has(p) || this.#old.has(p)) && !this.#loading.has(p)) this.#wanted.push(p);
    }
    this.#next();
  }

  /** Reads the first rows of a new search, or the order anew; resolves when they are here, and throws what is wrong. */
  async begin(first = 0, last = windowRows): Promise<void> {
    const turn = ++this.#turn;
    const from = Math.floor(first / windowRows) * windowRows;
    const answer = await this.#read('', from, Math.min(mostAtOnce, Math.ceil((last - from) / windowRows) * windowRows));
    if (turn === this.#turn) this.#renew(from, answer);
  }

  /** Every id of the search from first to before last, in order. */
  async ids(first = 0, last = this.total): Promise<string[]> {
    const out: string[] = [];
    let snapshot = this.#snapshot;
    for (let at = first; at < last; at += mostAtOnce) {
      const page = await this.#read(snapshot, at, Math.min(mostAtOnce, last - at), []);
      snapshot = page.snapshot;
      out.push(...page.rows.id.filter((_, i) => !page.rows.removed[i]));
    }
    return out;
  }

  #read(snapshot: string, offset: number, limit: number, columns = this.#asked.columns): Promise<TablePage> {
    return api.searchTable({ ...this.#asked, columns, offset, limit, ...(snapshot ? { snapshot } : {}) });
  }

  #next(): void {
    while (this.#loading.size < requests && this.#wanted.length) void this.#load(this.#wanted.shift()!);
  }

  async #load(page: number): Promise<void> {
    const turn = this.#turn;
    this.#loading.add(page);
    try {
      const answer = await this.#read(this.#snapshot, page * windowRows, windowRows);
      if (turn === this.#turn) this.#keep(page * windowRows, answer);
    } catch (err) {
      // The server keeps only so many orders, and none over its restart: then the order is found anew.
      if (err instanceof ApiError && err.details.reason === 'snapshot') return void (turn === this.#turn && (await this.#again(page * windowRows)));
      if (turn === this.#turn) this.error = err;
    } finally {
      if (turn === this.#turn) {
        this.#loading.delete(page);
        this.#next();
      }
    }
  }

  async #again(offset: number): Promise<void> {
    try {
      await this.begin(offset, offset + windowRows);
    } catch (err) {
      this.error = err;
    }
  }

  /** Takes in the first rows of an order that was found anew. */
  #renew(offset: number, answer: TablePage): void {
    this.#snapshot = answer.snapshot;
    this.#old = new Set(this.#pages.keys());
    this.#loading.clear();
    this.#keep(offset, answer);
  }

  #keep(offset: number, answer: TablePage): void {
    const rows = rowsOfTable(answer);
    for (let i = 0; i < Math.max(1, rows.length); i += windowRows) {
      const page = (offset + i) / windowRows;
      this.#pages.set(page, rows.slice(i, i + windowRows));
      this.#old.delete(page);
    }
    for (const p of this.#pages.keys()) if (p * windowRows >= answer.total) this.#pages.delete(p);
    this.total = answer.total;
    this.notes = answer.notes ?? [];
    this.columns = answer.columns;
    this.error = undefined;
    this.#version++;
  }
}
