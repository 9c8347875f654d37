// What the server says of the kinds of cells, for forms, completion and help.
export interface Schema {
  type?: 'object' | 'array' | 'string' | 'number' | 'integer' | 'boolean';
  description?: string;
  default?: unknown;
  enum?: string[];
  minimum?: number;
  maximum?: number;
  properties?: Record<string, Schema>;
  items?: Schema;
  'x-keys'?: string[];
  /** Types of what other cells give that may stand there. */
  'x-takes'?: string[];
  'x-text'?: boolean;
}

export interface Kind {
  name: string;
  cost: 'free' | 'cheap' | 'costly';
  gives: { name: string; type: string }[];
  schema: Schema;
}

/** The schema of a key, by its path; undefined where there is none. */
export function at(schema: Schema | undefined, path: string[]): Schema | undefined {
  let s = schema;
  for (const p of path) s = /^\d+$/.test(p) && s?.items ? s.items : s?.properties?.[p];
  return s;
}

/** The references that may stand in a key: to outputs of other cells, of the types that it takes, and to inputs anywhere. */
export function references(schema: Schema | undefined, own: string, cells: { id: string; kind: string }[], kinds: Kind[]): string[] {
  const takes = schema?.['x-takes'];
  return cells.filter((c) => c.id && c.id !== own).flatMap((c) =>
    (kinds.find((k) => k.name === c.kind)?.gives ?? [])
      .filter((g) => (takes ? takes.includes(g.type) : g.type === 'value'))
      .map((g) => `\${${c.id}.${g.name}}`),
  );
}

/** What a key's default and bounds are, in short. */
export function bounds(s: Schema): string {
  const parts: string[] = [];
  if (s.default !== undefined) parts.push(`= ${typeof s.default === 'string' ? s.default : JSON.stringify(s.default)}`);
  if (s.minimum !== undefined && s.maximum !== undefined && s.maximum < 1e9) parts.push(`${s.minimum}–${s.maximum}`);
  return parts.join(', ');
}
