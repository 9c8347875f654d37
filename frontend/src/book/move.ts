// Moving pieces of a notebook: the text is the same pieces in another order. Only line ends are added, where pieces would run
// into each other otherwise.
import { parts, withBody } from './cells.ts';
import { newKey, type Piece } from './passages.ts';

const blank = (p: Piece | undefined) => p?.type === 'prose' && p.text.trim() === '';
const eolOf = (pieces: Piece[]) => (pieces.some((p) => p.text.includes('\r\n')) ? '\r\n' : '\n');

/** The pieces with those from one place up to another put before the piece at a third. The blank lines behind them, or else
 *  before them, go along. The same array where nothing moves. */
export function moved(all: Piece[], from: number, end: number, to: number): Piece[] {
  if (from >= end || all[from]!.type === 'front' || (to >= from && to <= end) || to < 0 || to > all.length || (to === 0 && all[0]?.type === 'front')) return all;
  const eol = eolOf(all);
  let [a, b] = [from, end];
  let gap: Piece | undefined;
  if (blank(all[b]) && b !== to) gap = all[b++];
  else if (blank(all[a - 1]) && a !== to) gap = all[--a];
  if (to >= a && to <= b) return all;
  const body = all.slice(from, end);
  const rest = [...all.slice(0, a), ...all.slice(b)];
  const at = to > a ? to - (b - a) : to;
  const before = rest[at - 1];
  // The blank lines stand where there are none yet.
  const open = before !== undefined && !blank(before) && !/\n[ \t]*\r?\n$/.test(before.text);
  const put = gap ? (open ? [gap, ...body] : [...body, gap]) : body;
  return joined([...rest.slice(0, at), ...put, ...rest.slice(at)], all, eol);
}

/** Pieces that do not run into each other: a fence is closed and a line ended before what follows it, and two passages that did
 *  not follow each other before have a blank line between them. */
function joined(now: Piece[], before: Piece[], eol: string): Piece[] {
  const follows = new Map(before.map((p, i) => [p, before[i + 1]]));
  return now.map((p, i) => {
    const next = now[i + 1];
    if (!next || follows.get(p) === next) return p;
    let text = p.text;
    if (p.type === 'cell' && parts(text).close === '') text = withBody(text, parts(text).body);
    if (!text.endsWith('\n')) text += eol;
    const apart = /\n[ \t]*\r?\n$/.test(text) || /^[ \t]*\r?\n/.test(next.text) || !text.trim();
    if (p.type === 'prose' && next.type === 'prose' && !apart && next.text.trim()) text += eol;
    return text === p.text ? p : { ...p, text };
  });
}

/** A text put behind a piece, which ends before it. */
export function inserted(all: Piece[], at: number, text: string): Piece[] {
  const piece: Piece = { type: 'prose', text, key: newKey() };
  return joined([...all.slice(0, at), piece, ...all.slice(at)], all, eolOf(all));
}
