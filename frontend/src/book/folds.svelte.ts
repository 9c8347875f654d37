// Sections that are folded: what stands below their headings is not shown. A choice of this browser's, not a part of the text.
import { recall, remember } from '../lib/prefs.svelte.ts';
import type { BookState } from './bookstate.svelte.ts';
import { headingOf, sectionEnd, type Piece } from './passages.ts';

const nothing = new Set<number>();

/** The names of a notebook's headings by their places; of several alike each has its number. */
function namesOf(pieces: Piece[]): Map<number, string> {
  const out = new Map<number, string>();
  const seen = new Map<string, number>();
  pieces.forEach((p, at) => {
    const h = headingOf(p);
    if (!h) return;
    const name = `${h.level} ${h.text}`;
    const n = (seen.get(name) ?? 0) + 1;
    seen.set(name, n);
    out.set(at, n > 1 ? `${name} #${n}` : name);
  });
  return out;
}

export class Folds {
  readonly #book: BookState;
  readonly #key: string;
  #closed = $state.raw<ReadonlySet<string>>(new Set());

  readonly #names = $derived.by(() => (this.#closed.size ? namesOf(this.#book.blocks ?? []) : new Map<number, string>()));
  /** The places of the headings whose sections are folded. */
  readonly closed = $derived(new Set([...this.#names].filter(([, name]) => this.#closed.has(name)).map(([at]) => at)));
  /** The places of what is not shown. */
  readonly hidden = $derived.by(() => {
    if (!this.closed.size) return nothing;
    const out = new Set<number>();
    for (const at of this.closed) for (let i = at + 1; i < sectionEnd(this.#book.blocks!, at); i++) out.add(i);
    return out;
  });

  constructor(book: BookState) {
    this.#book = book;
    this.#key = `folded.${book.name}`;
    try {
      const kept: unknown = JSON.parse(recall(this.#key) ?? '[]');
      if (Array.isArray(kept)) this.#closed = new Set(kept.filter((k) => typeof k === 'string'));
    } catch {
      // what is kept is none of ours: nothing is folded
    }
  }

  toggle(at: number): void {
    const name = namesOf(this.#book.blocks ?? []).get(at);
    if (name === undefined) return;
    const next = new Set(this.#closed);
    if (!next.delete(name)) next.add(name);
    this.#closed = next;
    remember(this.#key, JSON.stringify([...next]));
  }

  /** Unfolds what hides a piece. */
  show(at: number): void {
    if (!this.hidden.has(at)) return;
    for (const head of this.closed) if (head < at && at < sectionEnd(this.#book.blocks!, head)) this.toggle(head);
  }
}
