// The steps of undo and redo: edits of this page, and before them the texts that the server's history has.
import { books, type Version } from './api.ts';
import type { Piece } from './passages.ts';

const depth = 200;

export class Steps {
  readonly #name: string;
  #past = $state.raw<Piece[][]>([]);
  #future = $state.raw<Piece[][]>([]);
  /** What the history had when the notebook was opened, and how much of it was passed. */
  #older = $state.raw<Version[]>([]);
  #passed = $state(0);
  #busy = false;

  readonly undoable = $derived(this.#past.length > 0 || this.#passed < this.#older.length);
  readonly redoable = $derived(this.#future.length > 0);

  constructor(name: string) {
    this.#name = name;
  }

  /** Reads what the history has from before a text. */
  async open(text: string): Promise<void> {
    if (this.#older.length) return;
    const versions = await books.history(this.#name);
    const size = new TextEncoder().encode(text).length;
    // The newest is what the file says, unless an editor wrote it since.
    this.#older = versions[0]?.size === size ? versions.slice(1) : versions;
  }

  /** Notes what was there before an edit. */
  add(before: Piece[]): void {
    this.#past = [...this.#past.slice(1 - depth), before];
    this.#future = [];
  }

  /** An edit that goes on with the one before: what was taken back is gone all the same. */
  goOn(): void {
    if (this.#future.length) this.#future = [];
  }

  /** What was there before: pieces of this page, or a text of the history. */
  async back(now: Piece[], text: string): Promise<Piece[] | string | undefined> {
    if (this.#busy) return undefined;
    const before = this.#past.at(-1);
    if (before) {
      this.#past = this.#past.slice(0, -1);
      this.#future = [...this.#future, now];
      return before;
    }
    this.#busy = true;
    try {
      while (this.#passed < this.#older.length) {
        const got = await books.version(this.#name, this.#older[this.#passed]!.revision);
        this.#passed++;
        if (got.text === text) continue;
        this.#future = [...this.#future, now];
        return got.text;
      }
    } finally {
      this.#busy = false;
    }
    return undefined;
  }

  /** What the last undo took back. */
  forth(now: Piece[]): Piece[] | undefined {
    const next = this.#future.at(-1);
    if (!next) return undefined;
    this.#future = this.#future.slice(0, -1);
    this.#past = [...this.#past, now];
    return next;
  }
}
