// How both models do on the rows of one language or domain.
import type { Sample } from '../lib/types.ts';

export interface Group {
  by: 'language' | 'domain';
  value: string;
  rows: number;
  a: number;
  b: number;
  onlyA: number;
  onlyB: number;
}

/** Languages, then domains, the largest first; a kind of one value says nothing and is left out. */
export function groupsOf(samples: Sample[]): Group[] {
  return (['language', 'domain'] as const).flatMap((by) => {
    const found = new Map<string, Group>();
    for (const s of samples) {
      const value = s[by];
      if (!value) continue;
      const g = found.get(value) ?? { by, value, rows: 0, a: 0, b: 0, onlyA: 0, onlyB: 0 };
      found.set(value, g);
      const [a, b] = [s.prediction_a === s.label, s.prediction_b === s.label];
      g.rows++;
      g.a += Number(a);
      g.b += Number(b);
      g.onlyA += Number(a && !b);
      g.onlyB += Number(b && !a);
    }
    return found.size < 2 ? [] : [...found.values()].sort((x, y) => y.rows - x.rows || x.value.localeCompare(y.value));
  });
}
