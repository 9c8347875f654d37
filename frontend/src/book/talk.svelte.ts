// What people said of a notebook's cells. It is kept by the server beside the file, by the cells' names.
import type { ServerEvent } from '../lib/sse.ts';
import { comments, type Comment } from './api.ts';
import type { BookState } from './bookstate.svelte.ts';

export class Talk {
  readonly #book: BookState;
  items = $state.raw<Comment[]>([]);
  error = $state.raw<unknown>();
  /** Deleted on this page; they can be taken back. */
  removed = $state.raw<Comment[]>([]);
  #asked = 0;

  /** By cell, the oldest first, with those that can be taken back at their places. */
  readonly byCell = $derived.by(() => {
    const out = new Map<string, Comment[]>();
    const there = new Set(this.items.map((c) => c.id));
    for (const c of [...this.items, ...this.removed.filter((r) => !there.has(r.id))].sort((a, b) => a.created.localeCompare(b.created))) out.set(c.cell, [...(out.get(c.cell) ?? []), c]);
    return out;
  });
  /** How many of a cell are not resolved. */
  readonly open = $derived.by(() => {
    const out = new Map<string, number>();
    for (const c of this.items) if (!c.resolved_at) out.set(c.cell, (out.get(c.cell) ?? 0) + 1);
    return out;
  });
  readonly unresolved = $derived([...this.open.values()].reduce((a, b) => a + b, 0));

  constructor(book: BookState) {
    this.#book = book;
  }

  async load(): Promise<void> {
    const asked = ++this.#asked;
    try {
      const items = await comments.list(this.#book.name);
      if (asked !== this.#asked) return;
      this.items = items;
      this.removed = this.removed.filter((r) => !items.some((c) => c.id === r.id));
      this.error = undefined;
    } catch (err) {
      if (asked === this.#asked) this.error = err;
    }
  }

  take(events: ServerEvent[]): void {
    if (events.some((e) => e.type === 'comments' && (e.data as { book: string }).book === this.#book.name)) void this.load();
  }

  /** Does something and reads what there is now; true where it was done. */
  async #do(what: () => Promise<unknown>): Promise<boolean> {
    let failed: unknown;
    try {
      await what();
    } catch (err) {
      failed = err;
    }
    await this.load();
    if (failed) this.error = failed;
    return !failed;
  }

  /** key: the same for each try of one comment, so that it is made once. */
  add(cell: string, author: string, text: string, key: string): Promise<boolean> {
    return this.#do(() => comments.add({ book: this.#book.name, cell, author, text }, key));
  }

  change(c: Comment, patch: { text?: string; resolved?: boolean; by?: string }): Promise<boolean> {
    return this.#do(() => comments.change(c, patch));
  }

  remove(c: Comment): Promise<boolean> {
    return this.#do(async () => {
      await comments.remove(c);
      this.removed = [...this.removed, c];
    });
  }

  restore(c: Comment): Promise<boolean> {
    return this.#do(() => comments.restore(c));
  }
}
