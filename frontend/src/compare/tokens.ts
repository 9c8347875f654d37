// Two answers side by side: the words that only one of them has.
import { diffArrays } from 'diff';

export interface Part {
  text: string;
  /** In both answers; else in the one that is shown. */
  same: boolean;
}

/** Words with the space behind them; of scripts without spaces, characters. */
export const tokensOf = (text: string): string[] => text.match(/[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Thai}]|[\p{L}\p{N}\p{M}_]+\s*|\s+|[^\s]/gu) ?? [];

const longest = 20_000; // tokens of both that are compared

/** The parts of both answers; those too long to compare, or that differ too much for it, are one part each. */
export function differences(a: string, b: string): [Part[], Part[]] {
  const [x, y] = [tokensOf(a), tokensOf(b)];
  const changes = x.length + y.length > longest ? undefined : diffArrays(x, y, { maxEditLength: 5000 });
  if (!changes) return [[{ text: a, same: a === b }], [{ text: b, same: a === b }]];
  const part = (c: { value: string[] }, same: boolean): Part => ({ text: c.value.join(''), same });
  return [
    changes.filter((c) => !c.added).map((c) => part(c, !c.removed)),
    changes.filter((c) => !c.removed).map((c) => part(c, !c.added)),
  ];
}
