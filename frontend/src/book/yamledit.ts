// A cell's YAML as values by their keys, and edits of one value that leave every other byte as it is.
import { isAlias, isMap, isScalar, parseDocument, stringify, type Node, type Pair, type YAMLMap } from 'yaml';

export type Plain = string | number | boolean | null | Plain[] | { [key: string]: Plain };

/** The values of a body; undefined where it is no YAML. */
export function valuesOf(body: string): { [key: string]: Plain } | undefined {
  const doc = parseDocument(body);
  if (doc.errors.length) return undefined;
  const v = doc.toJS() as Plain;
  return v === null || v === undefined ? {} : typeof v === 'object' && !Array.isArray(v) ? v : undefined;
}

/** The value at a path; undefined where there is none. */
export function valueAt(values: Plain | undefined, path: string[]): Plain | undefined {
  let v = values;
  for (const p of path) {
    if (v === null || typeof v !== 'object' || Array.isArray(v)) return undefined;
    v = v[p];
  }
  return v;
}

const pairOf = (map: YAMLMap, key: string): Pair<Node, Node | null> | undefined =>
  map.items.find((p) => isScalar(p.key) && String(p.key.value) === key) as Pair<Node, Node | null> | undefined;

/** A value as it stands in one line. */
function written(v: Plain): string {
  if (typeof v === 'string' && v.includes('\n')) return JSON.stringify(v);
  return stringify(v, { lineWidth: 0, collectionStyle: 'flow' }).trimEnd();
}

const eolOf = (body: string) => (body.includes('\r\n') ? '\r\n' : '\n');
const lineStart = (s: string, at: number) => s.lastIndexOf('\n', at - 1) + 1;
/** After the end of the line that a place is in. */
const lineEnd = (s: string, at: number) => {
  if (at > 0 && s[at - 1] === '\n') return at;
  const i = s.indexOf('\n', at);
  return i < 0 ? s.length : i + 1;
};

/** The end of a value with what belongs to it. */
const endOf = (p: Pair<Node, Node | null>): number => (p.value?.range ?? p.key.range)![1];

/** The body with a value at a path, or, where it is undefined, without that key. Throws where the body is no YAML, or where a
 *  section of the path is no mapping. */
export function withValue(body: string, path: string[], value: Plain | undefined): string {
  const doc = parseDocument(body);
  if (doc.errors.length) throw new Error(doc.errors[0]!.message);
  const eol = eolOf(body);
  let map: Node | null = doc.contents;
  let indent = 0;
  let after: number | undefined; // where a section without keys begins
  for (const [i, key] of path.entries()) {
    const rest = path.slice(i + 1);
    if (map === null || (isScalar(map) && map.value === null && (map.source ?? '') === '')) {
      if (value === undefined) return body;
      const at = after ?? body.length;
      return insertLine(body, at, nested(path.slice(i), value, indent, eol), eol);
    }
    if (!isMap(map)) throw new Error(`${path.slice(0, i).join('.')}: no mapping`);
    const pair = pairOf(map, key);
    if (!pair) return value === undefined ? body : insertKey(body, map, path.slice(i), value, eol);
    if (rest.length === 0) return value === undefined ? without(body, map, pair) : replaced(body, pair, value, map.flow === true, eol);
    if (isAlias(pair.value)) throw new Error(`${key}: an alias`);
    indent = indentOf(body, pair) + 2;
    after = lineEnd(body, endOf(pair));
    map = pair.value;
  }
  return body;
}

function indentOf(body: string, p: Pair<Node, Node | null>): number {
  const at = p.key.range![0];
  return at - lineStart(body, at);
}

function nested(path: string[], value: Plain, indent: number, eol: string): string {
  const [key, ...rest] = path;
  const pad = ' '.repeat(indent);
  if (rest.length) return `${pad}${written(key!)}:${eol}${nested(rest, value, indent + 2, eol)}`;
  return `${pad}${written(key!)}: ${scalar(value, indent, eol)}${eol}`;
}

/** A value behind its key, outside braces: a text of several lines as a block, a reference as it is. */
function scalar(value: Plain, indent: number, eol: string): string {
  if (typeof value === 'string' && /^\$\{[^{}\s#]+\}$/.test(value)) return value;
  if (typeof value !== 'string' || !value.includes('\n') || /^\s|[^\S\n]+\n|\t|\r/.test(value)) return written(value);
  const pad = ' '.repeat(indent + 2);
  const keep = value.endsWith('\n') ? (value.endsWith('\n\n') ? '+' : '') : '-';
  return `|${keep}${eol}${value.replace(/\n$/, '').split('\n').map((l) => (l ? pad + l : '')).join(eol)}`;
}

function insertLine(body: string, at: number, lines: string, eol: string): string {
  const before = body.slice(0, at);
  return before + (before && !before.endsWith('\n') ? eol : '') + lines + body.slice(at);
}

function insertKey(body: string, map: YAMLMap, path: string[], value: Plain, eol: string): string {
  if (map.flow) {
    const at = map.range![1] - 1; // before the brace
    const inner = body.slice(map.range![0] + 1, at);
    let v: Plain = value;
    for (const key of path.slice(1).reverse()) v = { [key]: v };
    const text = `${written(path[0]!)}: ${written(v)}`;
    const tail = /\s*$/.exec(inner)![0];
    const to = at - tail.length;
    return body.slice(0, to) + (inner.trim() ? (inner.trimEnd().endsWith(',') ? ' ' : ', ') : '') + text + body.slice(to);
  }
  const last = map.items.at(-1) as Pair<Node, Node | null>;
  return insertLine(body, lineEnd(body, endOf(last)), nested(path, value, indentOf(body, map.items[0] as Pair<Node, Node | null>), eol), eol);
}

function replaced(body: string, pair: Pair<Node, Node | null>, value: Plain, inFlow: boolean, eol: string): string {
  const range = pair.value?.range;
  const text = inFlow ? written(value) : scalar(value, indentOf(body, pair), eol);
  if (!range || range[0] === range[1]) {
    const colon = body.indexOf(':', pair.key.range![1]) + 1;
    return `${body.slice(0, colon)} ${text}${body.slice(colon)}`;
  }
  let [from, to] = range;
  const was = body.slice(from, to);
  const colon = body.indexOf(':', pair.key.range![1]) + 1;
  // A section or list of lines of its own goes with the line ends before it.
  const lead = body.slice(colon, from);
  if (lead.includes('\n') && !lead.includes('#')) from = colon;
  const ends = /(\r?\n)$/.exec(was)?.[1] ?? '';
  return body.slice(0, from) + (from === colon ? ' ' : '') + text + ends + body.slice(to);
}

function without(body: string, map: YAMLMap, pair: Pair<Node, Node | null>): string {
  const from = pair.key.range![0];
  if (!map.flow) return body.slice(0, lineStart(body, from)) + body.slice(lineEnd(body, endOf(pair)));
  const i = map.items.indexOf(pair as never);
  const next = map.items[i + 1] as Pair<Node, Node | null> | undefined;
  if (next) return body.slice(0, from) + body.slice(next.key.range![0]);
  const before = map.items[i - 1] as Pair<Node, Node | null> | undefined;
  return body.slice(0, before ? endOf(before) : from) + body.slice(endOf(pair));
}
