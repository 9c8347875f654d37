// Completion in a cell's YAML: by its lines, since it is rarely whole YAML while it is written.
import { at, bounds, references, type Kind, type Schema } from './schema.ts';

export interface Place {
  /** Keys of the sections around. */
  path: string[];
  /** The key of the line; empty before it is whole. */
  key: string;
  /** The caret is behind the colon. */
  inValue: boolean;
  /** What is typed of the word at the caret, and where it begins. */
  word: string;
  from: number;
}

const line = /^(\s*)((?:- +)*)(?:(['"]?)([\w./-]+)\3\s*:(?=\s|$))?(.*)$/;
const indentOf = (l: RegExpExecArray) => l[1]!.length + l[2]!.length;

/** Where a place in the text is; the sections are found by indentation. */
export function placeAt(text: string, caret: number): Place {
  const start = text.lastIndexOf('\n', caret - 1) + 1;
  const end = text.indexOf('\n', caret);
  const here = line.exec(text.slice(start, end < 0 ? undefined : end))!;
  const head = text.slice(start, caret);
  const colon = here[4] === undefined ? -1 : here[0].indexOf(':', indentOf(here));
  const inValue = colon >= 0 && head.length > colon;
  const from = inValue ? start + colon + 1 + /^\s*/.exec(head.slice(colon + 1))![0].length : start + indentOf(here);
  const path: string[] = [];
  let indent = indentOf(here);
  const above = text.slice(0, start).split('\n').slice(0, -1).reverse();
  for (const l of above) {
    const m = line.exec(l)!;
    if (m[4] === undefined || !l.trim() || indentOf(m) >= indent) continue;
    path.unshift(m[4]);
    indent = indentOf(m);
    if (indent === 0) break;
  }
  return { path, key: here[4] ?? '', inValue, word: text.slice(Math.min(from, caret), caret), from: Math.min(from, caret) };
}

export interface Offer {
  /** What is put in place of the word. */
  text: string;
  /** What stands beside it. */
  note: string;
}

/** The keys that a section does not have yet, or the values that a key may have, that begin as the word does or contain it. */
export function offers(text: string, caret: number, kind: Kind | undefined, own: string, cells: { id: string; kind: string }[], kinds: Kind[]): { place: Place; list: Offer[] } {
  const place = placeAt(text, caret);
  const section = at(kind?.schema, place.path);
  let list: Offer[] = [];
  if (place.inValue) {
    const s = section?.properties?.[place.key];
    const words = s?.enum ?? (s?.type === 'boolean' ? ['true', 'false'] : []);
    const refs = s ? references(s, own, cells, kinds) : [];
    const kindOf = new Map(cells.map((c) => [c.id, c.kind]));
    list = [...words.map((w) => ({ text: w, note: '' })), ...refs.map((r) => ({ text: r, note: kindOf.get(r.slice(2, r.indexOf('.'))) ?? '' }))];
  } else {
    const taken = siblings(text, caret, place);
    list = (section?.['x-keys'] ?? []).filter((k) => !taken.has(k)).map((k) => {
      const s: Schema = section!.properties![k]!;
      return { text: `${k}:${s.type === 'object' && s.properties ? '' : ' '}`, note: bounds(s) };
    });
  }
  const w = place.word.toLowerCase();
  const score = (o: Offer) => (o.text.toLowerCase().startsWith(w) ? 0 : 1);
  list = list.filter((o) => o.text.toLowerCase().includes(w) && o.text.trim() !== place.word.trim()).sort((a, b) => score(a) - score(b));
  return { place, list: list.slice(0, 12) };
}

/** The keys that stand in the section of a place already, but for its own line. */
function siblings(text: string, caret: number, place: Place): Set<string> {
  const out = new Set<string>();
  let pos = 0;
  for (const l of text.split('\n')) {
    const to = pos + l.length;
    if (caret < pos || caret > to) {
      const m = line.exec(l)!;
      if (m[4] !== undefined && placeAt(text, pos + indentOf(m)).path.join('\n') === place.path.join('\n')) out.add(m[4]);
    }
    pos = to + 1;
  }
  return out;
}

/** What the key of a line means. */
export function helpAt(text: string, caret: number, kind: Kind | undefined): { key: string; schema: Schema } | undefined {
  const p = placeAt(text, caret);
  const schema = p.key ? at(kind?.schema, [...p.path, p.key]) : undefined;
  return schema && { key: [...p.path, p.key].join('.'), schema };
}
