// A notebook's pieces as the page has them: the server's blocks, with prose cut before each heading, so that a heading and what
// stands below it can be folded and moved. The pieces' texts, one after the other, are the file.
import type { Block } from './api.ts';

export interface Piece extends Block {
  /** Its own on the page, and the same after an edit of its text. */
  key: number;
}

export interface Heading {
  level: number;
  text: string;
}

const fenceOf = (line: string) => /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
const headingAt = (line: string) => /^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*\r?$/.exec(line);

const blankLines = /^(?:[ \t]*\r?\n)+/;

/** Prose cut before each heading, and behind the blank lines that it begins with. */
export function passages(text: string): string[] {
  const out: string[] = [];
  let from = blankLines.exec(text)?.[0].length ?? 0;
  if (from === text.length) return [text];
  if (from) out.push(text.slice(0, from));
  let at = from;
  let fence: string | undefined;
  for (const line of text.slice(from).split('\n')) {
    const mark = fenceOf(line);
    if (fence === undefined) {
      if (headingAt(line) && at > from) {
        out.push(text.slice(from, at));
        from = at;
      }
      fence = mark;
    } else if (mark && mark[0] === fence[0] && mark.length >= fence.length && line.trim() === mark) fence = undefined;
    at += line.length + 1;
  }
  out.push(text.slice(from));
  return out;
}

const headings = new WeakMap<Block, Heading | undefined>();

/** The heading that a passage begins with. */
export function headingOf(b: Block): Heading | undefined {
  if (b.type !== 'prose') return undefined;
  if (!headings.has(b)) {
    const m = headingAt(b.text.replace(blankLines, '').split('\n', 1)[0]!);
    headings.set(b, m ? { level: m[1]!.length, text: m[2] ?? '' } : undefined);
  }
  return headings.get(b);
}

/** Where the section ends whose heading is at a place: before the next heading that is not below it. */
export function sectionEnd(blocks: Block[], at: number): number {
  const level = headingOf(blocks[at]!)?.level;
  if (level === undefined) return at + 1;
  let end = at + 1;
  for (; end < blocks.length; end++) {
    const h = headingOf(blocks[end]!);
    if (h && h.level <= level) break;
  }
  return end;
}

const same = (a: Block, b: Block) => a.type === b.type && a.text === b.text && a.cell === b.cell;
let keys = 0;
export const newKey = (): number => ++keys;

/** The pieces of blocks: those that were there before are the very same, and one in the place of another keeps its key. */
export function piecesOf(blocks: Block[], before: Piece[] = []): Piece[] {
  const now = blocks.flatMap((b): Block[] => (b.type === 'prose' ? passages(b.text).map((text) => ({ type: 'prose', text })) : [b]));
  const out = new Array<Piece>(now.length);
  let head = 0;
  while (head < Math.min(now.length, before.length) && same(now[head]!, before[head]!)) out[head] = before[head++]!;
  let tail = 0;
  while (tail < Math.min(now.length, before.length) - head && same(now[now.length - 1 - tail]!, before[before.length - 1 - tail]!)) {
    out[now.length - 1 - tail] = before[before.length - 1 - tail]!;
    tail++;
  }
  // In between, cells are known by their names, prose by its text or else by its order.
  const left = before.slice(head, before.length - tail);
  const take = (want: (p: Piece) => boolean) => {
    const i = left.findIndex(want);
    return i < 0 ? undefined : left.splice(i, 1)[0];
  };
  const middle = now.slice(head, now.length - tail);
  const found = middle.map((b) => (b.type === 'cell' && b.cell ? take((p) => p.cell === b.cell && p.type === 'cell') : take((p) => same(p, b))));
  middle.forEach((b, i) => {
    const p = found[i] ?? take((o) => o.type === b.type && b.type !== 'cell');
    out[head + i] = p && same(p, b) ? p : { ...b, key: p?.key ?? newKey() };
  });
  return out;
}
