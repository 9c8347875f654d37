// Moving a cell or a section by its grip: with a pointer or a finger, or with the arrow keys. One step of undo.
import { t } from '../lib/i18n.ts';
import type { BookState } from './bookstate.svelte.ts';
import { moved } from './move.ts';
import { headingOf, type Piece } from './passages.ts';

const edge = 60; // px from the window's edge at which it scrolls
const pace = 12; // px a frame

export const blank = (p: Piece | undefined): boolean => p?.type === 'prose' && p.text.trim() === '';

export class Drag {
  readonly #book: BookState;
  /** The piece that is moved; -1: none. */
  from = $state(-1);
  /** It will stand before the piece at this place. */
  to = $state(-1);
  /** For a screen reader. */
  said = $state('');
  #end = -1;
  #stop: (() => void) | undefined;

  constructor(book: BookState) {
    this.#book = book;
  }

  #begin(at: number): void {
    this.from = this.to = at;
    this.#end = this.#book.endOf(at);
  }

  /** The places before which a piece can be put: of what is shown, and the end. */
  #places(): { at: number; top: number; bottom: number }[] {
    return [...document.querySelectorAll<HTMLElement>('[data-at]')].map((el) => {
      const box = el.getBoundingClientRect();
      return { at: Number(el.dataset.at), top: box.top, bottom: box.bottom };
    });
  }

  #nameOf(at: number): string {
    const p = this.#book.blocks?.[at];
    if (!p) return t('book.theEnd');
    return p.cell ?? headingOf(p)?.text ?? t('book.prose');
  }

  start(e: PointerEvent & { currentTarget: HTMLElement }, at: number): void {
    if (e.button !== 0 || !e.isPrimary) return;
    e.preventDefault();
    this.cancel();
    const grip = e.currentTarget;
    grip.focus();
    grip.setPointerCapture(e.pointerId);
    this.#begin(at);
    let y = e.clientY;
    let frame = 0;
    const aim = () => {
      const places = this.#places();
      this.to = places.find((p) => (p.top + p.bottom) / 2 > y)?.at ?? this.#book.blocks!.length;
    };
    const scroll = () => {
      const by = y < edge ? -pace : y > innerHeight - edge ? pace : 0;
      if (by) {
        scrollBy(0, by);
        aim();
      }
      frame = requestAnimationFrame(scroll);
    };
    const move = (m: PointerEvent) => {
      y = m.clientY;
      aim();
    };
    const key = (k: KeyboardEvent) => {
      if (k.key !== 'Escape') return;
      k.preventDefault();
      k.stopPropagation();
      this.cancel();
    };
    const drop = () => this.drop();
    const cancel = () => this.cancel();
    grip.addEventListener('pointermove', move);
    grip.addEventListener('pointerup', drop);
    grip.addEventListener('pointercancel', cancel);
    addEventListener('keydown', key, true);
    frame = requestAnimationFrame(scroll);
    this.#stop = () => {
      cancelAnimationFrame(frame);
      grip.removeEventListener('pointermove', move);
      grip.removeEventListener('pointerup', drop);
      grip.removeEventListener('pointercancel', cancel);
      removeEventListener('keydown', key, true);
    };
  }

  /** A key on the grip: Space or Enter takes and puts down, arrows choose where, Escape leaves it where it was. */
  key(e: KeyboardEvent, at: number): void {
    const taken = this.from === at;
    if (e.isComposing || e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === ' ' || e.key === 'Enter') {
      if (taken) this.drop();
      else {
        this.#begin(at);
        this.said = t('book.taken', { cell: this.#nameOf(at) });
      }
    } else if (taken && e.key === 'Escape') {
      this.cancel();
      this.said = t('book.notMoved');
    } else if (taken && (e.key === 'ArrowUp' || e.key === 'ArrowDown')) this.#aim(e.key === 'ArrowUp' ? -1 : 1);
    else return;
    e.preventDefault();
    e.stopPropagation();
  }

  #aim(by: -1 | 1): void {
    const all = this.#book.blocks ?? [];
    // Where it would stand as it stands is one place.
    const places = [...this.#places().map((p) => p.at), all.length].filter((at) => at === this.from || moved(all, this.from, this.#end, at) !== all);
    const next = places[places.indexOf(this.to) + by];
    if (next === undefined) return;
    this.to = next;
    document.querySelector(`[data-at="${next}"]`)?.scrollIntoView({ block: 'nearest' });
    this.said = next === this.from ? t('book.whereItWas') : t('book.dropBefore', { cell: this.#nameOf(next) });
  }

  drop(): void {
    const [from, end, to] = [this.from, this.#end, this.to];
    this.cancel();
    if (from < 0) return;
    const name = this.#nameOf(from);
    this.said = this.#book.move(from, end, to) ? t('book.movedIt', { cell: name }) : t('book.notMoved');
  }

  cancel(): void {
    this.#stop?.();
    this.#stop = undefined;
    this.from = this.to = -1;
  }

  /** Moves the piece at a place past its neighbour. */
  step(at: number, by: -1 | 1): void {
    const all = this.#book.blocks ?? [];
    const end = this.#book.endOf(at);
    let to = by < 0 ? at - 1 : end;
    while (blank(all[to])) to += by;
    if (!all[to] || all[to]!.type === 'front') return;
    const name = this.#nameOf(at);
    if (this.#book.move(at, end, by < 0 ? to : to + 1)) this.said = t('book.movedIt', { cell: name });
  }
}
