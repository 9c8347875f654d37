// A cell's text: its fences, and the YAML between them.
export interface Parts {
  open: string;
  body: string;
  close: string;
}

/** The line of the opening fence, the body and what closes it; together they are the text. */
export function parts(text: string): Parts {
  const first = text.indexOf('\n') + 1 || text.length;
  const fence = /^ {0,3}(`{3,}|~{3,})/.exec(text)?.[1] ?? '```';
  const rest = text.slice(first);
  const closing = new RegExp(`(^|\\n)( {0,3}${fence[0]}{${fence.length},}[ \\t]*\\r?\\n?)$`).exec(rest);
  if (!closing) return { open: text.slice(0, first), body: rest, close: '' };
  const at = closing.index + closing[1]!.length;
  return { open: text.slice(0, first), body: rest.slice(0, at), close: rest.slice(at) };
}

/** The cell with another body; its fences grow where the body has one like them. */
export function withBody(text: string, body: string): string {
  const p = parts(text);
  const fence = /(`{3,}|~{3,})/.exec(p.open)?.[1] ?? '```';
  let need = fence.length;
  for (const m of body.matchAll(new RegExp(`^ {0,3}(${fence[0]}{${fence.length},})[ \\t]*$`, 'gm'))) need = Math.max(need, m[1]!.length + 1);
  if (body && !body.endsWith('\n')) body += '\n';
  const grown = fence[0]!.repeat(need);
  return p.open.replace(fence, grown) + body + (p.close ? p.close.replace(/(`{3,}|~{3,})/, grown) : `${grown}\n`);
}

/** A new cell of a kind, as a block of text with a blank line on either side. */
export const fresh = (kind: string, id: string, body = ''): string => `\n\`\`\`triality ${kind} id=${id}\n${body}\`\`\`\n`;

/** A text whose links to other notebooks, by their files, lead to their pages. */
export function linked(text: string, name: string): string {
  return text.replace(/\]\(([^():\s#?]+\.md)(#[^()\s]*)?\)/g, (whole, path: string, part: string | undefined) => {
    if (path.startsWith('/')) return whole;
    const at = name.split('/').slice(0, -1);
    for (const step of path.split('/')) {
      if (step === '..' && !at.pop()) return whole; // it leads out of the folder
      if (step !== '..' && step !== '.') at.push(step);
    }
    return `](/notebooks/${at.map(encodeURIComponent).join('/')}${part ?? ''})`;
  });
}

/** The notebook that a newcomer begins with, in a language where it is written in it. */
export const guideOf = (names: string[], lang: string): string | undefined => [`first.${lang}.md`, 'first.md'].find((n) => names.includes(n));

/** A name that no cell has: the kind's, or with a number after it. */
export function freeName(kind: string, taken: string[]): string {
  const base = kind.replace(/[^A-Za-z0-9]/g, '');
  if (!taken.includes(base)) return base;
  for (let i = 2; ; i++) if (!taken.includes(`${base}${i}`)) return `${base}${i}`;
}

/** What is known of a cell where only its needs and its cost matter. */
interface Costed {
  id: string;
  needs?: string[];
  state: string;
  cost?: string;
  seconds?: number;
}

/** What a run of a cell with what it needs would do: the steps that have to run, those that are taken over, and the seconds
 *  that the former took last time; 0 where that is not known of one. */
export function costOf(id: string, cells: Map<string, Costed>): { open: number; taken: number; seconds: number } {
  const seen = new Set([id]);
  for (const name of seen) for (const n of cells.get(name)?.needs ?? []) seen.add(n);
  const steps = [...seen].flatMap((name) => cells.get(name) ?? []).filter((c) => c.cost !== 'free');
  const open = steps.filter((c) => c.state !== 'fresh' && c.state !== 'cached');
  const known = open.every((c) => c.seconds);
  return { open: open.length, taken: steps.length - open.length, seconds: known ? open.reduce((n, c) => n + c.seconds!, 0) : 0 };
}

/** The cells that a cell refers to, as its text names them: what is known before a plan, and of one with a mistake. */
export function referred(text: string): string[] {
  const { body } = parts(text);
  return [...new Set([...body.matchAll(/\$\{([\w-]+)\.[^{}]*\}|\{\{\s*([\w-]+)\./g)].map((m) => (m[1] ?? m[2])!))];
}

/** Series of a step, by the names that its kind logs under; where a run has several steps of a kind, those whose names
 *  are not the kind's have their own in front. */
const logged: Record<string, string[]> = {
  base: ['pretrain', 'pretrain_eval'],
  finetune: ['train', 'eval'],
  replace: ['so8t', 'so8t_eval'],
  'burn-in': ['so8t', 'so8t_eval'],
};

export function seriesOf(kind: string, id: string, steps: { name?: string; kind: string }[], names: string[]): string[] {
  const own = plain(kind, id, steps) ? '' : `${id}/`;
  return names.filter((n) => (logged[kind] ?? []).some((p) => n.startsWith(`${own}${p}/`)));
}

/** Whether a step's artifacts and series have the names of its kind. */
export function plain(kind: string, id: string, steps: { name?: string; kind: string }[]): boolean {
  return id === kind || steps.filter((s) => s.kind === kind).length === 1;
}
