// Conditions on columns of compared rows: KEY, one of the operators, a value. server/api/samplecolumns.go reads them.

export const operators = ['=', '!=', '<', '<=', '>', '>=', '~'] as const;
export type Operator = (typeof operators)[number];

export interface ColumnAbout {
  key: string;
  kind: 'number' | 'text';
  rows: number;
  least: number | null;
  greatest: number | null;
  values: { value: string; rows: number }[] | null;
}

/** What is asked of a text: less and greater have no meaning. */
export const operatorsOf = (kind: ColumnAbout['kind']): readonly Operator[] => (kind === 'number' ? operators.filter((o) => o !== '~') : ['=', '!=', '~']);

/** Columns that have controls of their own are not offered; nor those of which no row has a value. */
export const offered = (columns: ColumnAbout[]): ColumnAbout[] => columns.filter((c) => c.rows > 0 && !['label', 'language'].includes(c.key));

/** A column as a person reads it: a field of the row by its name, an arm's by the arm. */
export const columnTitle = (key: string): string => key.replace(/^row\./, '').replace(/^([ab])\./, (_, arm: string) => `${arm.toUpperCase()} · `);

export const conditionTitle = (where: string): string => {
  const m = /^(.*?)(!=|<=|>=|=|<|>|~)(.*)$/s.exec(where);
  return m ? `${columnTitle(m[1]!)} ${m[2]!.replace('!=', '≠').replace('<=', '≤').replace('>=', '≥')} ${m[3] || '–'}` : where;
};
