// An open notebook: its text in blocks, what is saved of it, the states of its cells. Everything typed is saved by itself;
// a file that others changed meanwhile is never overwritten silently.
import { ApiError } from '../lib/api.ts';
import type { ServerEvent } from '../lib/sse.ts';
import type { Progress, Run } from '../lib/types.ts';
import { books, type Block, type Book, type Cell, type Status } from './api.ts';
import type { Kind } from './schema.ts';

const statusAfter = 300;
const saveAfter = 800;
const lookEvery = 3000;
const undoDepth = 200;
/** Kinds whose cells may show runs of others, and how long after one has ended they are asked again. */
const readsRuns = new Set(['query', 'chart', 'compare', 'samples']);
const othersAfter = 2000;

export class BookState {
  readonly name: string;
  blocks = $state.raw<Block[]>();
  status = $state.raw<Status>();
  error = $state.raw<unknown>();
  /** What the file says, where it is neither what was opened nor what is shown. */
  theirs = $state.raw<Book>();
  /** The file is gone. */
  gone = $state(false);
  saving = $state(false);
  savedText = $state('');
  /** Of the running cell. */
  progress = $state.raw<Progress>();
  undoable = $state(0);
  /** What there is to know of the kinds of cells. */
  kinds = $state.raw<Kind[]>([]);
  /** What cells showed last, for while they wait. */
  shown = new Map<string, unknown>();

  #revision = '';
  #past: Block[][] = [];
  #save: ReturnType<typeof setTimeout> | undefined;
  #ask: ReturnType<typeof setTimeout> | undefined;
  #look: ReturnType<typeof setInterval> | undefined;
  #others: ReturnType<typeof setTimeout> | undefined;
  #asked = 0;
  #writing: Promise<boolean> = Promise.resolve(true);
  #closed = false;

  constructor(name: string) {
    this.name = name;
  }

  get text(): string {
    return (this.blocks ?? []).map((b) => b.text).join('');
  }

  get dirty(): boolean {
    return this.blocks !== undefined && this.text !== this.savedText;
  }

  cell(id: string | undefined): Cell | undefined {
    return this.status?.cells.find((c) => c.id === id);
  }

  async load(): Promise<void> {
    try {
      books.kinds().then((k) => (this.kinds = k), (err) => (this.error = err));
      const book = await books.read(this.name);
      if (!book) return;
      await this.#show(book);
      this.error = undefined;
      clearInterval(this.#look);
      if (!this.#closed) this.#look = setInterval(() => void this.#lookAgain(), lookEvery);
    } catch (err) {
      this.error = err;
    }
  }

  /** Leaves the notebook; what is typed is saved. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#look);
    clearTimeout(this.#ask);
    clearTimeout(this.#others);
    if (this.dirty && !this.theirs) void this.save();
  }

  async #show(book: Book): Promise<void> {
    this.#revision = book.revision;
    this.savedText = book.text;
    this.theirs = undefined;
    this.gone = false;
    this.#keep(await books.status(this.name, book.text));
    this.blocks = this.status!.blocks;
  }

  #keep(status: Status): void {
    for (const c of status.cells) if (c.shown !== undefined) this.shown.set(c.id, c.shown);
    this.status = status;
  }

  /** Replaces blocks from one on, as one step of undo unless it goes on with the step before. */
  replace(at: number, remove: number, texts: string[], goesOn = false): void {
    const before = this.blocks ?? [];
    if (!goesOn) {
      this.#past.push(before);
      if (this.#past.length > undoDepth) this.#past.shift();
      this.undoable = this.#past.length;
    }
    const made = texts.map((text, i): Block => ({ ...(before[at + i] ?? { type: 'prose' as const }), text }));
    this.blocks = [...before.slice(0, at), ...made, ...before.slice(at + remove)];
    this.#changed();
  }

  undo(): void {
    const before = this.#past.pop();
    this.undoable = this.#past.length;
    if (!before) return;
    this.blocks = before;
    this.#changed();
  }

  #changed(): void {
    clearTimeout(this.#ask);
    this.#ask = setTimeout(() => void this.refresh(), statusAfter);
    clearTimeout(this.#save);
    this.#save = setTimeout(() => void this.save(), saveAfter);
  }

  /** Asks for the states of what is shown. */
  async refresh(): Promise<void> {
    const asked = ++this.#asked;
    const text = this.text;
    try {
      const status = await books.status(this.name, text);
      if (asked !== this.#asked || this.#closed) return;
      this.#keep(status);
      if (this.text === text) this.blocks = status.blocks; // a fence that was typed makes a cell
      this.error = undefined;
    } catch (err) {
      if (asked === this.#asked) this.error = err;
    }
  }

  /** Writes what is shown; true once it is in the file, after a write that is under way too. */
  async save(): Promise<boolean> {
    clearTimeout(this.#save);
    await this.#writing;
    if (!this.dirty) return true;
    if (this.theirs || this.gone) return false;
    // Two who waited for one write: the second waits for the first's.
    if (this.saving) return this.save();
    this.#writing = this.#write();
    return this.#writing;
  }

  async #write(): Promise<boolean> {
    const text = this.text;
    this.saving = true;
    try {
      const book = await books.write(this.name, text, this.#revision);
      this.#revision = book.revision;
      this.savedText = text;
      return true;
    } catch (err) {
      if (err instanceof ApiError && err.code === 'conflict') this.theirs = err.details.book as Book;
      else if (err instanceof ApiError && err.code === 'not_found') this.gone = true;
      else this.error = err;
      return false;
    } finally {
      this.saving = false;
      if (this.dirty && !this.theirs && !this.gone && !this.#closed) this.#save = setTimeout(() => void this.save(), saveAfter);
    }
  }

  async #lookAgain(): Promise<void> {
    if (document.hidden || this.theirs || this.gone || this.saving) return;
    try {
      const book = await books.read(this.name, this.#revision);
      if (!book || this.saving || book.revision === this.#revision) return;
      if (this.dirty) this.theirs = book;
      else await this.#show(book);
    } catch (err) {
      if (err instanceof ApiError && err.code === 'not_found') this.gone = true;
    }
  }

  /** Ends a conflict: the file's text is shown, or what is shown replaces it. What goes stays in the history. */
  async settle(keep: 'theirs' | 'mine'): Promise<void> {
    const book = this.theirs;
    if (book && keep === 'theirs') {
      this.#past.push(this.blocks ?? []);
      this.undoable = this.#past.length;
      await this.#show(book);
      return;
    }
    this.#revision = book?.revision ?? '';
    if (book) this.savedText = book.text;
    this.theirs = undefined;
    if (this.gone) {
      this.gone = false;
      this.savedText = '';
    }
    await this.save();
  }

  /** Runs cells with what they need; none: all of them. */
  async run(cells: string[]): Promise<void> {
    if (!(await this.save())) return;
    try {
      await books.run(this.name, this.text, cells);
      await this.refresh();
    } catch (err) {
      this.error = err;
    }
  }

  take(events: ServerEvent[]): void {
    let again = false;
    let others = false;
    for (const e of events) {
      if (e.type === 'run') {
        const run = e.data as Run;
        again ||= run.tags?.book === this.name || run.id === this.status?.run;
        others ||= run.status !== 'running' && run.status !== 'queued';
        if (again) this.progress = undefined;
      } else if (e.type === 'progress') {
        const p = e.data as { run_id: string; progress: Progress };
        if (p.run_id === this.status?.run) this.progress = p.progress;
      }
    }
    if (again) void this.refresh();
    else if (others && this.status?.cells.some((c) => c.cost === 'free' && readsRuns.has(c.kind))) {
      clearTimeout(this.#others);
      this.#others = setTimeout(() => void this.refresh(), othersAfter);
    }
  }
}
