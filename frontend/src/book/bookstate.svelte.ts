// An open notebook: its text in pieces, what is saved of it, the states of its cells. Everything typed is saved by itself;
// a file that others changed meanwhile is never overwritten silently.
import { untrack } from 'svelte';
import { ApiError } from '../lib/api.ts';
import type { ServerEvent } from '../lib/sse.ts';
import type { Progress, Run } from '../lib/types.ts';
import { books, type Block, type Book, type Cell, type Problem, type Status } from './api.ts';
import { inserted, moved } from './move.ts';
import { headingOf, newKey, piecesOf, sectionEnd, type Piece } from './passages.ts';
import { alike } from './same.ts';
import type { Kind } from './schema.ts';
import { Steps } from './steps.svelte.ts';

const statusAfter = 300;
const saveAfter = 800;
const lookEvery = 3000;
/** Kinds whose cells may show runs of others, and how long after one has ended they are asked again. */
const readsRuns = new Set(['query', 'chart', 'compare', 'samples']);
const othersAfter = 2000;
const none: Problem[] = [];

export class BookState {
  readonly name: string;
  blocks = $state.raw<Piece[]>();
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
  /** What there is to know of the kinds of cells. */
  kinds = $state.raw<Kind[]>([]);
  /** The cell that has the focus, or had it last. */
  active = $state<string>();
  /** What cells showed last, for while they wait. */
  shown = new Map<string, unknown>();
  readonly steps: Steps;

  readonly byId = $derived(new Map((this.status?.cells ?? []).map((c) => [c.id, c])));
  /** Of cells, for completion. */
  readonly names = $derived((this.status?.cells ?? []).map((c) => ({ id: c.id, kind: c.kind })));
  readonly #wrong = $derived.by(() => {
    const out = new Map<string, Problem[]>();
    for (const p of this.status?.problems ?? []) if (p.cell) out.set(p.cell, [...(out.get(p.cell) ?? []), p]);
    return out;
  });

  #revision = '';
  #save: ReturnType<typeof setTimeout> | undefined;
  #ask: ReturnType<typeof setTimeout> | undefined;
  #look: ReturnType<typeof setInterval> | undefined;
  #others: ReturnType<typeof setTimeout> | undefined;
  #asked = 0;
  #writing: Promise<boolean> = Promise.resolve(true);
  #closed = false;
  #held = 0;

  constructor(name: string) {
    this.name = name;
    this.steps = new Steps(name);
  }

  get text(): string {
    return (this.blocks ?? []).map((b) => b.text).join('');
  }

  get dirty(): boolean {
    return this.blocks !== undefined && this.text !== this.savedText;
  }

  cell(id: string | undefined): Cell | undefined {
    return id ? this.byId.get(id) : undefined;
  }

  /** What is wrong with a piece; a cell without a name is told by its place. */
  problems(b: Piece): Problem[] {
    if (b.cell) return this.#wrong.get(b.cell) ?? none;
    const place = (this.blocks ?? []).filter((o) => o.type === 'cell').indexOf(b) + 1;
    return this.#wrong.get(`cell ${place}`) ?? none;
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
      this.steps.open(book.text).catch((err: unknown) => (this.error = err));
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
    const before = this.blocks;
    const now = this.text;
    const status = book.blocks ? undefined : await books.status(this.name, book.text);
    if (before && this.text !== now) return; // it was written in meanwhile: the file is looked at again
    if (before) this.steps.add(before);
    this.#revision = book.revision;
    this.savedText = book.text;
    this.theirs = undefined;
    this.gone = false;
    if (status) this.#keep(status);
    this.blocks = piecesOf(book.blocks ?? status!.blocks, before);
    if (!status) await this.refresh();
  }

  #keep(status: Status): void {
    for (const c of status.cells) if (c.shown !== undefined) this.shown.set(c.id, c.shown);
    // A cell of which nothing is new stays the very same, so that nothing of it is drawn again.
    const before = untrack(() => this.byId);
    const cells = status.cells.map((c) => {
      const known = before.get(c.id);
      return known && alike(known, c) ? known : c;
    });
    this.status = { ...status, cells };
  }

  #put(blocks: Piece[]): void {
    this.blocks = blocks;
    this.#changed();
  }

  /** Replaces pieces from one on, as one step of undo unless it goes on with the step before. */
  replace(at: number, remove: number, texts: string[], goesOn = false): void {
    const before = this.blocks ?? [];
    if (!goesOn) this.steps.add(before);
    else this.steps.goOn();
    const made = texts.map((text, i): Piece => (i < remove && before[at + i] ? { ...before[at + i]!, text } : { type: 'prose', text, key: newKey() }));
    this.#put([...before.slice(0, at), ...made, ...before.slice(at + remove)]);
  }

  /** Puts a text before the piece at a place. */
  insert(at: number, text: string): void {
    const before = this.blocks ?? [];
    this.steps.add(before);
    this.#put(inserted(before, at, text));
  }

  /** Puts pieces before the one at a place; false where they stand there already. */
  move(from: number, end: number, to: number): boolean {
    const before = this.blocks ?? [];
    const now = moved(before, from, end, to);
    if (now === before) return false;
    this.steps.add(before);
    this.#put(now);
    return true;
  }

  /** Where what is moved with the piece at a place ends: a heading takes its section along. */
  endOf(at: number): number {
    const all = this.blocks ?? [];
    return all[at] && headingOf(all[at]!) ? sectionEnd(all, at) : at + 1;
  }

  /** Takes the last edit back: one of those here, or else what the history has from before the notebook was opened. */
  async undo(): Promise<void> {
    await this.#step(() => this.steps.back(this.blocks ?? [], this.text));
  }

  async redo(): Promise<void> {
    await this.#step(() => Promise.resolve(this.steps.forth(this.blocks ?? [])));
  }

  async #step(step: () => Promise<Piece[] | string | undefined>): Promise<void> {
    try {
      const got = await step();
      if (got === undefined) return;
      this.#put(typeof got === 'string' ? await this.#piecesOf(got) : got);
    } catch (err) {
      this.error = err;
    }
  }

  /** Shows another text in place of the whole, as one step of undo. */
  async become(text: string): Promise<void> {
    try {
      const pieces = await this.#piecesOf(text);
      this.steps.add(this.blocks ?? []);
      this.#put(pieces);
    } catch (err) {
      this.error = err;
    }
  }

  async #piecesOf(text: string): Promise<Piece[]> {
    const status = await books.status(this.name, text);
    this.#keep(status);
    return piecesOf(status.blocks, this.blocks);
  }

  #changed(): void {
    clearTimeout(this.#ask);
    this.#ask = setTimeout(() => void this.refresh(), statusAfter);
    clearTimeout(this.#save);
    this.#save = setTimeout(() => void this.save(), saveAfter);
  }

  /** While text is written, what is typed does not become another piece under the caret. */
  hold(): () => void {
    this.#held++;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#held--;
      void this.refresh();
    };
  }

  /** Asks for the states of what is shown. */
  async refresh(): Promise<void> {
    const asked = ++this.#asked;
    const text = this.text;
    try {
      const status = await books.status(this.name, text);
      if (asked !== this.#asked || this.#closed) return;
      this.#keep(status);
      if (this.text === text && !this.#held) this.#recut(status.blocks); // a fence that was typed makes a cell
      this.error = undefined;
    } catch (err) {
      if (asked === this.#asked) this.error = err;
    }
  }

  #recut(blocks: Block[]): void {
    const before = this.blocks ?? [];
    const now = piecesOf(blocks, before);
    if (now.length !== before.length || now.some((p, i) => p !== before[i])) this.blocks = now;
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
    if (book && keep === 'theirs') return this.#show(book);
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
