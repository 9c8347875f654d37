// An item more in a list of a cell's YAML, which leaves every other byte as it is.
import { isAlias, isScalar, isSeq, parseDocument, stringify, type Node } from 'yaml';
import { withValue, type Plain } from './yamledit.ts';

/** The body with one more item at the end of the list at a path, which is made where there is none. note, a comment behind it, is
 *  left out where it would stand inside brackets. Throws where the body is no YAML, or where something else stands there. */
export function withItem(body: string, path: string[], item: { [key: string]: Plain }, note = ''): string {
  const doc = parseDocument(body);
  if (doc.errors.length) throw new Error(doc.errors[0]!.message);
  const list = doc.getIn(path, true) as Node | undefined;
  if (list === undefined || (isScalar(list) && list.value === null)) return withValue(body, path, [item]);
  if (!isSeq(list)) throw new Error(`${path.join('.')}: ${isAlias(list) ? 'an alias' : 'no list'}`);
  const [from, to] = list.range!;
  const last = list.items.at(-1) as Node | undefined;
  const eol = body.includes('\r\n') ? '\r\n' : '\n';
  if (list.flow) {
    const at = to - 1; // before the bracket
    const inner = body.slice(from + 1, at);
    const end = last ? from + 1 + inner.trimEnd().length : at;
    const text = stringify(item, { lineWidth: 0, collectionStyle: 'flow' }).trimEnd();
    // A comment may stand behind the last item; then the new one has a line of its own.
    const comment = last && /#[^\n]*$/.test(inner.trimEnd().split('\n').at(-1)!);
    if (comment) {
      const end = last.range![1];
      const next = body.indexOf('\n', end) + 1;
      const line = body.lastIndexOf('\n', last.range![0] - 1) + 1;
      const indent = /^ */.exec(body.slice(line))![0];
      const deeper = line + indent.length === last.range![0] ? indent : `${indent}  `; // the list begins on its key's line
      const comma = /^\s*,/.test(body.slice(end, next)) ? '' : ',';
      return `${body.slice(0, end)}${comma}${body.slice(end, next)}${deeper}${text}${eol}${body.slice(next)}`;
    }
    const lead = !last ? '' : inner.trimEnd().endsWith(',') ? ' ' : ', ';
    return body.slice(0, end) + lead + text + body.slice(end);
  }
  const pad = ' '.repeat(from - (body.lastIndexOf('\n', from - 1) + 1));
  let at = last!.range![1];
  if (body[at - 1] !== '\n') at = body.indexOf('\n', at) < 0 ? body.length : body.indexOf('\n', at) + 1;
  const lines = Object.entries(item).map(([k, v]) => stringify({ [k]: v }, { lineWidth: 0 }).trimEnd());
  const text = `${pad}- ${lines.join(`${eol}${pad}  `)}${note ? ` # ${note}` : ''}${eol}`;
  return body.slice(0, at) + (at > 0 && body[at - 1] !== '\n' ? eol : '') + text + body.slice(at);
}
