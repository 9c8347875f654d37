// The rows of one search, of which only the windows that were looked at are here. The server's cursors lead to the others:
// a row far below is reached over pages of ids alone, which are remembered.
import { api } from '../lib/api.ts';
import { rowsOf, type Note, type Row, type SearchPage, type SearchRequest } from './search.ts';

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
  readonly #asked: Omit<SearchRequest, 'cursor' | 'limit'>;
  #pages = new Map<number, Row[]>();
  #old = new Set<number>(); // pages to be read again when they are looked at
  #loading = new Set<number>();
  #wanted: number[] = [];
  #cursors = new Map<number, string>([[0, '']]);
  #turn = 0;

  constructor(asked: Omit<SearchRequest, 'cursor' | 'limit'>) {
    this.#asked = asked;
  }

  /** The row at a place; undefined while it is loaded. */
  at(index: number): Row | undefined {
    void this.#version;
    return this.#pages.get(Math.floor(index / windowRows))?.[index % windowRows];
  }

  /** The rows that are here, in order, with their places. */
  loaded(): { row: Row; index: number }[] {
    void this.#version;
    return [...this.#pages.keys()].sort((a, b) => a - b).flatMap((p) => this.#pages.get(p)!.map((row, i) => ({ row, index: p * windowRows + i })));
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
    const cursors = new Map([[0, '']]);
    const answer = await this.#read(cursors, from, Math.min(mostAtOnce, Math.ceil((last - from) / windowRows) * windowRows));
    if (turn !== this.#turn) return;
    this.#cursors = cursors;
    this.#old = new Set(this.#pages.keys());
    this.#loading.clear();
    this.#keep(from, answer);
  }

  /** Every id of the search from first to before last, in order. */
  async ids(first = 0, last = this.total): Promise<string[]> {
    const out: string[] = [];
    for (let at = first; at < last; at += mostAtOnce) {
      const page = await this.#read(this.#cursors, at, Math.min(mostAtOnce, last - at), []);
      out.push(...page.items.map((r) => r.id));
      if (!page.next_cursor) break;
    }
    return out;
  }

  /** A page from a place on. The cursors of the places on the way are kept. */
  async #read(cursors: Map<number, string>, offset: number, limit: number, columns = this.#asked.columns): Promise<SearchPage> {
    let at = Math.max(...[...cursors.keys()].filter((k) => k <= offset));
    while (at < offset) {
      const step = Math.min(mostAtOnce, offset - at);
      const page = await api.searchRuns({ ...this.#asked, columns: [], cursor: cursors.get(at), limit: step });
      if (!page.next_cursor) return { ...page, items: [] }; // the search ends before
      cursors.set((at += step), page.next_cursor);
    }
    const page = await api.searchRuns({ ...this.#asked, columns, cursor: cursors.get(offset), limit });
    if (page.next_cursor) cursors.set(offset + limit, page.next_cursor);
    return page;
  }

  #next(): void {
    while (this.#loading.size < requests && this.#wanted.length) void this.#load(this.#wanted.shift()!);
  }

  async #load(page: number): Promise<void> {
    const turn = this.#turn;
    this.#loading.add(page);
    try {
      const answer = await this.#read(this.#cursors, page * windowRows, windowRows);
      if (turn === this.#turn) this.#keep(page * windowRows, answer);
    } catch (err) {
      if (turn === this.#turn) this.error = err;
    } finally {
      if (turn === this.#turn) {
        this.#loading.delete(page);
        this.#next();
      }
    }
  }

  #keep(offset: number, answer: SearchPage): void {
    const rows = rowsOf(answer);
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
