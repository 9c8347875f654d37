// A list of runs in which those that others are parts of can be opened: their parts then stand below them, and may have
// parts again.
import { SvelteMap } from 'svelte/reactivity';
import type { Row } from './search.ts';
import type { RunWindow } from './window.svelte.ts';

export class Branch {
  readonly rows: RunWindow;
  /** How many runs it is a part of. */
  readonly depth: number;
  /** Of the runs that are open, by id. */
  readonly parts = new SvelteMap<string, Branch>();

  constructor(rows: RunWindow, depth = 0) {
    this.rows = rows;
    this.depth = depth;
  }

  readonly #open = $derived.by(() =>
    this.parts.size ? this.rows.loaded().flatMap(({ row, index }) => (this.parts.has(row.id) ? [{ at: index, part: this.parts.get(row.id)! }] : [])) : [],
  );

  /** Rows, those of open parts included. */
  readonly lines: number = $derived.by(() => this.#open.reduce((n, o) => n + o.part.lines, this.rows.total));

  /** What stands on a line from 0. */
  line(line: number): { branch: Branch; at: number; row: Row | undefined } {
    let at = line;
    for (const o of this.#open) {
      if (at <= o.at) break;
      if (at <= o.at + o.part.lines) return o.part.line(at - o.at - 1);
      at -= o.part.lines;
    }
    return { branch: this, at, row: this.rows.at(at) };
  }

  /** The rows on the lines from first to before last, list by list. */
  *between(first: number, last: number): Generator<[RunWindow, number, number]> {
    let from = 0; // of this list's rows
    let line = 0; // on which it stands
    for (const o of [...this.#open, undefined]) {
      const to = o ? o.at + 1 : this.rows.total;
      const [a, b] = [Math.max(from, from + first - line), Math.min(to, from + last - line)];
      if (b > a) yield [this.rows, a, b];
      line += to - from;
      from = to;
      if (!o) return;
      const [c, d] = [Math.max(0, first - line), Math.min(o.part.lines, last - line)];
      if (d > c) yield* o.part.between(c, d);
      line += o.part.lines;
    }
  }

  /** This and every open list below. */
  *all(): Generator<Branch> {
    yield this;
    for (const p of this.parts.values()) yield* p.all();
  }
}
