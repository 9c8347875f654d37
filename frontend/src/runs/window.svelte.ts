// The rows of one search, of which only the windows that were looked at are here. The server keeps the order under a
// snapshot, so that row 15,000 is the same run whichever way it was reached.
import { api, ApiError } from '../lib/api.ts';
import { rowsOf, type Note, type Row, type SearchRequest, type TableAnswer } from './search.ts';

export const windowRows = 100;
const atOnce = 2; // requests

export class RunWindow {
  total = $state(0);
  notes = $state.raw<Note[]>([]);
  /** Full names of the asked columns. */
  columns = $state.raw<string[]>([]);
  error = $state.raw<unknown>();
  #version = $state(0);
  readonly #asked: Omit<SearchRequest, 'offset' | 'snapshot' | 'limit'>;
  #pages = new Map<number, Row[]>();
  #old = new Set<number>(); // pages to be read again when they are looked at
  #loading = new Set<number>();
  #wanted: number[] = [];
  #snapshot = '';
  #turn = 0;

  constructor(asked: Omit<SearchRequest, 'offset' | 'snapshot' | 'limit'>) {
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
    const answer = await this.#read(from, Math.min(1000, Math.ceil((last - from) / windowRows) * windowRows), '');
    if (turn !== this.#turn) return;
    this.#old = new Set(this.#pages.keys());
    this.#loading.clear();
    this.#keep(from, answer);
  }

  /** Every id of the search from first to before last, in order. */
  async ids(first = 0, last = this.total): Promise<string[]> {
    const out: string[] = [];
    for (let at = first; at < last; at += 1000) {
      const got = await api.runTable({ ...this.#asked, columns: [], offset: at, limit: Math.min(1000, last - at), snapshot: this.#snapshot });
      out.push(...got.rows.id.filter((_, i) => !got.rows.removed[i]));
      if (got.rows.id.length === 0) break;
    }
    return out;
  }

  /** Changes a row that is here, so that an edit is seen before the server is asked again. */
  patch(id: string, change: Partial<Row>): void {
    for (const rows of this.#pages.values()) {
      const at = rows.findIndex((r) => r.id === id);
      if (at >= 0) rows[at] = { ...rows[at]!, ...change };
    }
    this.#version++;
  }

  #read(offset: number, limit: number, snapshot: string): Promise<TableAnswer> {
    return api.runTable({ ...this.#asked, offset, limit, snapshot });
  }

  #next(): void {
    while (this.#loading.size < atOnce && this.#wanted.length) void this.#load(this.#wanted.shift()!);
  }

  async #load(page: number): Promise<void> {
    const turn = this.#turn;
    this.#loading.add(page);
    try {
      const answer = await this.#read(page * windowRows, windowRows, this.#snapshot);
      if (turn === this.#turn) this.#keep(page * windowRows, answer);
    } catch (err) {
      if (turn !== this.#turn) return;
      // The server keeps the order no longer: it is made anew, and the rows may stand a little elsewhere.
      if (err instanceof ApiError && err.code === 'conflict') await this.begin(page * windowRows, (page + 1) * windowRows).catch((e) => (this.error = e));
      else this.error = err;
    } finally {
      if (turn === this.#turn) {
        this.#loading.delete(page);
        this.#next();
      }
    }
  }

  #keep(offset: number, answer: TableAnswer): void {
    const rows = rowsOf(answer);
    for (let i = 0; i < Math.max(1, rows.length); i += windowRows) {
      const page = (offset + i) / windowRows;
      this.#pages.set(page, rows.slice(i, i + windowRows));
      this.#old.delete(page);
    }
    for (const p of this.#pages.keys()) if (p * windowRows >= answer.total) this.#pages.delete(p);
    this.#snapshot = answer.snapshot;
    this.total = answer.total;
    this.notes = answer.notes ?? [];
    this.columns = answer.columns;
    this.error = undefined;
    this.#version++;
  }
}
