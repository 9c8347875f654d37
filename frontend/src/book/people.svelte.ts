// Who has the notebook open, and in which cell. Each page says every few seconds that it is there, and says when it closes; one
// that is not heard of for some seconds is gone.
import { t } from '../lib/i18n.ts';
import { prefs, recall, remember } from '../lib/prefs.svelte.ts';
import type { ServerEvent } from '../lib/sse.ts';
import { colourCount, colourOf } from '../panels/palette.ts';
import { presence, type Present } from './api.ts';
import type { BookState } from './bookstate.svelte.ts';
import { randomName } from './random.ts';

const every = 3000;

/** Who this browser's user is. A name that anyone may choose: it says who, it does not prove it. */
class Me {
  name = $state(recall('me.name') ?? '');
  colour = $state(Number(recall('me.colour') ?? -1));

  constructor() {
    if (!(this.colour >= 0 && this.colour < colourCount)) this.choose(this.name, Math.floor(Math.random() * colourCount));
  }

  choose(name: string, colour: number): void {
    this.name = name.trim().slice(0, 60);
    this.colour = colour;
    remember('me.name', this.name);
    remember('me.colour', String(colour));
  }
}

export const me = new Me();

export interface Person extends Present {
  called: string;
  shade: string;
}

export class People {
  readonly #book: BookState;
  readonly #window = randomName();
  #all = $state.raw<Present[]>([]);
  #timer: ReturnType<typeof setInterval>;
  #stop: () => void;
  #closed = false;
  /** The page goes, or waits to be come back to. */
  #left = false;

  /** The others. */
  readonly others = $derived(
    this.#all.filter((p) => p.window !== this.#window).map((p): Person => ({ ...p, called: p.name || t('book.someone'), shade: colourOf(p.colour, prefs.dark).colour })),
  );
  readonly at = $derived.by(() => {
    const out = new Map<string, Person[]>();
    for (const p of this.others) if (p.cell) out.set(p.cell, [...(out.get(p.cell) ?? []), p]);
    return out;
  });

  constructor(book: BookState) {
    this.#book = book;
    this.#timer = setInterval(() => void this.beat(), every);
    const leave = () => {
      this.#left = true;
      presence.leave(this.#book.name, this.#window);
    };
    const come = () => {
      this.#left = false;
      void this.beat();
    };
    const seen = () => {
      if (!document.hidden) void this.beat();
    };
    addEventListener('pagehide', leave);
    addEventListener('pageshow', come);
    document.addEventListener('visibilitychange', seen);
    // It is told at once when another cell is gone to, or another name chosen.
    const follow = $effect.root(() => {
      $effect(() => {
        void [this.#book.active, me.name, me.colour];
        void this.beat();
      });
    });
    this.#stop = () => {
      follow();
      removeEventListener('pagehide', leave);
      removeEventListener('pageshow', come);
      document.removeEventListener('visibilitychange', seen);
      leave();
    };
  }

  /** Says that this page is there, and hears who else is. A server that does not answer is asked again. */
  async beat(): Promise<void> {
    if (this.#closed || this.#left) return;
    try {
      const all = await presence.say({ book: this.#book.name, window: this.#window, name: me.name, colour: me.colour, cell: this.#book.active ?? '' });
      if (!this.#closed) this.#all = all;
    } catch {
      this.#all = []; // nobody is known to be there
    }
  }

  take(events: ServerEvent[]): void {
    for (const e of events) {
      const d = e.data as { book: string; items: Present[] };
      if (e.type === 'presence' && d.book === this.#book.name) this.#all = d.items;
    }
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#stop();
  }
}
