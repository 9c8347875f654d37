// The text of a growing log as rows of one height each, and where something is found in it.
import { printable } from './printable.ts';

/** Characters of a row; a longer line goes on in the next row. */
export const rowLength = 4000;
/** Rows kept at most: browsers bound the height of an element. */
const keepRows = 500_000;
/** The end of what was read is read again each time, to see that the log is still the one it was. */
const overlap = 256;

export class LogText {
  /** The last one may still grow. */
  rows: string[] = [''];
  /** Rows that were left out at the start. */
  dropped = 0;
  #end = 0; // bytes read
  #tail = new Uint8Array();
  #decoder = new TextDecoder();
  #open = '';
  readonly #keep: number;

  constructor(keep = keepRows) {
    this.#keep = keep;
  }

  /** Rows with something in them: an end of line opens no row to be seen. */
  get count(): number {
    return this.rows.length - (this.#open ? 0 : 1);
  }

  /** Where the next reading begins, in bytes. */
  get from(): number {
    return this.#end - this.#tail.length;
  }

  /** Takes what was read at from on. False: the server has begun a new file, and this must be read anew
   *  from its start with another LogText. */
  take(bytes: Uint8Array): boolean {
    const known = this.#tail.length;
    if (bytes.length < known || this.#tail.some((b, i) => b !== bytes[i])) return false;
    if (bytes.length === known) return true;
    this.#end += bytes.length - known;
    this.#tail = bytes.slice(-overlap);
    this.#add(this.#decoder.decode(bytes.subarray(known), { stream: true }));
    return true;
  }

  #add(text: string): void {
    const lines = (this.#open + text).split('\n');
    const open = cut(lines.pop()!);
    this.rows.pop();
    for (const line of lines) {
      for (const row of cut(line.endsWith('\r') ? line.slice(0, -1) : line)) this.rows.push(printable(row));
    }
    this.#open = open.pop()!;
    for (const row of open) this.rows.push(printable(row));
    this.rows.push(printable(this.#open));
    const over = this.rows.length - this.#keep;
    if (over > this.#keep / 10) {
      this.rows.splice(0, over);
      this.dropped += over;
    }
  }
}

function cut(line: string): string[] {
  if (line.length <= rowLength) return [line];
  const rows: string[] = [];
  for (let from = 0; from < line.length; ) {
    let to = Math.min(line.length, from + rowLength);
    if (to < line.length && /[\ud800-\udbff]/.test(line[to - 1]!)) to--; // not between two halves of a character
    rows.push(line.slice(from, to));
    from = to;
  }
  return rows;
}

/** What finds a text wherever it stands, in capitals or not; undefined for no text. */
export function finder(text: string): RegExp | undefined {
  return text ? new RegExp(text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'), 'giu') : undefined;
}

/** The numbers of the rows from on in which re finds something. */
export function found(rows: string[], count: number, re: RegExp, from = 0): number[] {
  const at: number[] = [];
  for (let i = from; i < count; i++) {
    re.lastIndex = 0;
    if (re.test(rows[i]!)) at.push(i);
  }
  return at;
}

/** A row in parts, every second of them found. */
export function parts(row: string, re: RegExp | undefined): string[] {
  if (!re) return [row];
  const out: string[] = [];
  let end = 0;
  for (const m of row.matchAll(re)) {
    out.push(row.slice(end, m.index), m[0]);
    end = m.index + m[0].length;
  }
  out.push(row.slice(end));
  return out;
}
