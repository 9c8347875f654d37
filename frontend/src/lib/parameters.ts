// The parameters of a metric module as a form has them: texts and ticks, and what they stand for.
import type { Key } from '../i18n/en.ts';
import type { Args } from '../i18n/message.ts';
import type { Parameter } from './types.ts';

export type Field = string | boolean;

/** Why a field's text is no value: a message of the catalogue. */
export interface Problem {
  key: Key;
  args?: Args;
}

export type Parsed = { value: unknown } | { problem: Problem };

/** What a field holds before the user touches it: the default, as it may be typed. */
export function initial(p: Parameter): Field {
  if (p.type === 'boolean') return p.default === true;
  if (p.default === undefined) return '';
  if (Array.isArray(p.default)) return p.default.length ? p.default.join(', ') : '[]';
  return String(p.default);
}

const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;

/** A Japanese keyboard writes full-width digits and signs; they mean the same. */
const narrow = (text: string): string => text.normalize('NFKC').replaceAll('\u2212', '-').trim();

function parseNumber(p: Parameter, text: string): Parsed {
  const v = decimal.test(text) ? Number(text) : NaN;
  if (!Number.isFinite(v)) return { problem: { key: 'try.notNumber', args: { text } } };
  if (p.type === 'integer' && (!Number.isInteger(v) || Math.abs(v) > 2 ** 53)) {
    return { problem: { key: 'try.notInteger', args: { text } } };
  }
  if (p.min !== undefined && v < p.min) return { problem: { key: 'try.tooSmall', args: { text, min: String(p.min) } } };
  if (p.max !== undefined && v > p.max) return { problem: { key: 'try.tooLarge', args: { text, max: String(p.max) } } };
  return { value: v === 0 ? 0 : v }; // −0 would not equal a default of 0 on the server's side
}

/** The value of one field. An empty number or list stands for the default; [] is a list without numbers. */
export function parse(p: Parameter, field: Field): Parsed {
  if (p.type === 'boolean') return { value: field === true };
  if (p.type === 'string') return { value: String(field) };
  const text = narrow(String(field));
  if (text === '') return p.default === undefined ? { problem: { key: 'try.mustSet' } } : { value: p.default };
  if (p.type !== 'numbers') return parseNumber(p, text);
  const inner = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  const values: unknown[] = [];
  for (const word of inner.split(/[\s,;、]+/).filter(Boolean)) {
    const one = parseNumber(p, word);
    if ('problem' in one) return one;
    values.push(one.value);
  }
  return { value: values };
}

/** The values to send: those that differ from their defaults, so that a trial with nothing changed is the
 *  same as a module named without parameters. Problems are by parameter. */
export function collect(
  parameters: Parameter[],
  fields: Record<string, Field>,
): { params: Record<string, unknown>; problems: Record<string, Problem> } {
  const params: Record<string, unknown> = {};
  const problems: Record<string, Problem> = {};
  for (const p of parameters) {
    const got = parse(p, fields[p.name] ?? initial(p));
    if ('problem' in got) problems[p.name] = got.problem;
    else if (p.default === undefined || canonical(got.value) !== canonical(p.default)) params[p.name] = got.value;
  }
  return { params, problems };
}

/** JSON in which the order of an object's keys says nothing. */
export function canonical(v: unknown): string {
  return JSON.stringify(v, (_, x: unknown) =>
    x && typeof x === 'object' && !Array.isArray(x)
      ? Object.fromEntries(Object.entries(x).sort(([a], [b]) => (a < b ? -1 : 1)))
      : x,
  );
}
