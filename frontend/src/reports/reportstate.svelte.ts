// An open report: its blocks, what is saved of them, and what others saved meanwhile. Everything that is changed is saved by
// itself, for the revision that it was made from; what another window saved is never overwritten silently.
import { untrack } from 'svelte';
import { ApiError } from '../lib/api.ts';
import { outdated, reports, type Body, type Share, type WholeReport } from './api.ts';
import { moved, same, type Block } from './kinds.ts';

const saveAfter = 800; // ms
const lookEvery = 3000;
const undoDepth = 200;

/** A block with a name that it keeps while it is moved. */
export interface Item {
  key: number;
  block: Block;
}

const textOf = (title: string, b: Body): string => JSON.stringify([title, b.language, b.blocks.map(same)]);

interface Draft {
  title: string;
  language: Body['language'];
  items: Item[];
}

export class ReportState {
  readonly id: string;
  title = $state('');
  language = $state<Body['language']>('en');
  items = $state.raw<Item[]>();
  /** As the server has it, as far as is known here. */
  saved = $state.raw<WholeReport>();
  /** What somebody else saved, where it is neither what was opened nor what is shown. */
  theirs = $state.raw<WholeReport>();
  /** It was deleted. */
  gone = $state(false);
  error = $state.raw<unknown>();
  /** What the server refuses of what is shown. */
  refused = $state.raw<unknown>();
  saving = $state(false);
  undoable = $state(0);
  /** The block that was changed last, which the preview shows. */
  touched = $state(0);

  #past: Draft[] = [];
  #next = 1;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #look: ReturnType<typeof setInterval> | undefined;
  #writing: Promise<boolean> = Promise.resolve(true);
  #closed = false;

  constructor(id: string) {
    this.id = id;
  }

  readonly blocks = $derived((this.items ?? []).map((i) => i.block));
  readonly body = $derived<Body>({ language: this.language, blocks: this.blocks });
  readonly #text = $derived(textOf(this.title.trim(), this.body));
  readonly #savedText = $derived(this.saved && textOf(this.saved.title, this.saved.body));
  readonly dirty = $derived(this.items !== undefined && this.#text !== this.#savedText);
  readonly untitled = $derived(this.items !== undefined && !this.title.trim());

  async load(): Promise<void> {
    try {
      this.#show(await reports.read(this.id));
      this.error = undefined;
      clearInterval(this.#look);
      if (!this.#closed) this.#look = setInterval(() => void this.#lookAgain(), lookEvery);
    } catch (err) {
      this.error = err;
    }
  }

  /** Leaves the report; what is shown is saved. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#look);
    clearTimeout(this.#timer);
    if (untrack(() => this.dirty && !this.theirs)) void this.save();
  }

  /** Shows what the server has. Blocks that are the same keep their names, so that they stay where they are on the screen. */
  #show(r: WholeReport): void {
    const left = [...(this.items ?? [])];
    this.items = r.body.blocks.map((block) => {
      const text = same(block);
      const at = left.findIndex((i) => same(i.block) === text);
      return at < 0 ? { key: this.#next++, block } : { key: left.splice(at, 1)[0]!.key, block };
    });
    this.title = r.title;
    this.language = r.body.language;
    this.saved = r;
    this.theirs = undefined;
    this.gone = false;
    this.refused = undefined;
  }

  /** Changes something, as one step of undo unless it goes on with the step before. */
  #change(change: Partial<Draft>, goesOn = false): void {
    if (!goesOn) this.#remember();
    if (change.title !== undefined) this.title = change.title;
    if (change.language) this.language = change.language;
    if (change.items) this.items = change.items;
    this.#soon();
  }

  #remember(): void {
    this.#past.push({ title: this.title, language: this.language, items: this.items ?? [] });
    if (this.#past.length > undoDepth) this.#past.shift();
    this.undoable = this.#past.length;
  }

  #soon(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.save(), saveAfter);
  }

  rename(title: string, goesOn: boolean): void {
    this.#change({ title }, goesOn);
  }

  speak(language: Body['language']): void {
    this.#change({ language });
  }

  /** Puts blocks before the place; gives their names. */
  insert(at: number, blocks: Block[]): number[] {
    const made = blocks.map((block) => ({ key: this.#next++, block }));
    this.touched = at;
    this.#change({ items: (this.items ?? []).toSpliced(at, 0, ...made) });
    return made.map((i) => i.key);
  }

  set(at: number, block: Block, goesOn = false): void {
    const item = this.items?.[at];
    if (!item) return;
    this.touched = at;
    this.#change({ items: this.items!.with(at, { ...item, block }) }, goesOn);
  }

  move(from: number, to: number): boolean {
    const items = moved(this.items ?? [], from, to);
    if (items === this.items) return false;
    this.touched = Math.max(0, Math.min(to, items.length - 1));
    this.#change({ items });
    return true;
  }

  /** Removes a block; gives what puts it back, wherever the others went since. */
  remove(at: number): () => void {
    const item = this.items![at]!;
    this.touched = Math.max(0, at - 1);
    this.#change({ items: this.items!.toSpliced(at, 1) });
    return () => {
      if (this.items!.some((i) => i.key === item.key)) return;
      this.touched = at;
      this.#change({ items: this.items!.toSpliced(at, 0, item) });
    };
  }

  undo(): void {
    const before = this.#past.pop();
    this.undoable = this.#past.length;
    if (before) this.#change(before, true);
  }

  /** Writes what is shown; true once the server has it, after a write that is under way too. */
  async save(): Promise<boolean> {
    clearTimeout(this.#timer);
    await this.#writing;
    if (!this.dirty) return true;
    if (this.theirs || this.gone || this.untitled) return false;
    if (this.saving) return this.save(); // of two who waited for one write, the second waits for the first's
    this.#writing = this.#write();
    return this.#writing;
  }

  async #write(): Promise<boolean> {
    this.saving = true;
    let again = true;
    try {
      const saved = await reports.change(this.id, this.saved!.revision, { title: this.title.trim(), body: $state.snapshot(this.body) as Body });
      this.saved = saved;
      this.error = this.refused = undefined;
      return true;
    } catch (err) {
      again = false;
      if (outdated(err)) this.theirs = await reports.read(this.id).catch((e) => ((this.error = e), undefined));
      else if (err instanceof ApiError && err.code === 'not_found') this.gone = true;
      else if (err instanceof ApiError && err.status >= 400 && err.status < 500) this.refused = err;
      else this.error = err;
      return false;
    } finally {
      this.saving = false;
      if (again && this.dirty && !this.#closed) this.#soon();
    }
  }

  async #lookAgain(): Promise<void> {
    if (document.hidden || this.theirs || this.gone || this.saving) return;
    try {
      const r = await reports.read(this.id);
      if (this.saving || this.theirs || r.revision < this.saved!.revision) return;
      if (r.revision === this.saved!.revision) this.shares(r.shares);
      else if (this.dirty) this.theirs = r;
      else this.#show(r);
      this.error = undefined;
    } catch (err) {
      if (err instanceof ApiError && err.code === 'not_found') this.gone = true;
    }
  }

  /** Takes the links as they are now; they are no part of a revision. */
  shares(shares: Share[]): void {
    if (JSON.stringify(shares) !== JSON.stringify(this.saved!.shares)) this.saved = { ...this.saved!, shares };
  }

  /** Ends a conflict: what was saved by the other is shown, or what is shown replaces it. */
  async settle(keep: 'theirs' | 'mine'): Promise<void> {
    const theirs = this.theirs;
    if (theirs && keep === 'theirs') {
      this.#remember(); // what goes can be had back
      this.#show(theirs);
      return;
    }
    try {
      if (this.gone) this.saved = await reports.restore(this.id);
      else if (theirs) this.saved = theirs;
      this.gone = false;
      this.theirs = undefined;
      this.error = undefined;
    } catch (err) {
      this.error = err;
      return;
    }
    await this.save();
  }
}
