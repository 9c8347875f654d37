// The address of a comparison: which runs, which two of them row by row, and which rows are shown.

/** So many runs stand beside each other at most; their ids make an address of 3.3 KB. */
export const most = 100;

/** The page that compares the runs. */
export const compareHref = (ids: string[], more: Record<string, string> = {}): string => {
  const q = new URLSearchParams(more);
  return `/compare?runs=${[...new Set(ids)].slice(0, most).map(encodeURIComponent).join(',')}${q.size ? `&${q}` : ''}`;
};

/** The ids of an address, each once. */
export const runsOf = (search: string): string[] =>
  [...new Set((new URLSearchParams(search).get('runs') ?? '').split(',').filter(Boolean))].slice(0, most);

export const shows = ['differ', 'fixed', 'broken', 'both_wrong', 'all'] as const;
export type Show = (typeof shows)[number];

export interface Side {
  run: string;
  arm: 'A' | 'B';
}

/** Which rows of which two results are asked for. */
export interface Question {
  a: Side;
  b: Side;
  show: Show;
  label: string;
  language: string;
  q: string;
  where: string[];
}

const arm = (v: string | null, otherwise: 'A' | 'B'): 'A' | 'B' => (v === 'A' || v === 'B' ? v : otherwise);

/** What an address asks for; runs are those that it names. Of one run, its two arms are compared. */
export function questionOf(search: string, runs: string[]): Question {
  const q = new URLSearchParams(search);
  const run = (name: string, otherwise: string) => (runs.includes(q.get(name) ?? '') ? q.get(name)! : otherwise);
  const a = run('a', runs[0] ?? '');
  const b = run('b', runs.find((r) => r !== a) ?? a);
  const show = q.get('show') as Show;
  return {
    a: { run: a, arm: arm(q.get('a_arm'), a === b ? 'A' : 'B') },
    b: { run: b, arm: arm(q.get('b_arm'), 'B') },
    show: shows.includes(show) ? show : 'differ',
    label: q.get('label') ?? '',
    language: q.get('language') ?? '',
    q: q.get('q') ?? '',
    where: (q.get('where') ?? '').split('\n').filter(Boolean),
  };
}

/** The server's query for it. */
export function asked(of: Question): URLSearchParams {
  const q = new URLSearchParams({ a: of.a.run, b: of.b.run, a_arm: of.a.arm, b_arm: of.b.arm, show: of.show });
  for (const name of ['label', 'language', 'q'] as const) if (of[name]) q.set(name, of[name]);
  for (const w of of.where) q.append('where', w);
  return q;
}

/** The changes to an address that show the rows of a cell of a confusion matrix. */
export const cell = (side: 'a' | 'b', label: string, answer: string): Record<string, string> => ({
  show: 'all', label, language: '', q: '', where: `${side}.prediction=${answer}`, offset: '',
});
