// The sentence that says what the rows show of B against A. It says no more than its interval and its test both say.
import type { Comparison } from '../lib/types.ts';

export type Finding = 'better' | 'worse' | 'open' | 'apart' | 'none';

/** better and worse where interval and test agree on it, open where neither shows a difference, apart where the two do not
 *  agree, none where nothing bounds the difference. */
export function finding(c: Pick<Comparison, 'delta' | 'p_value' | 'better'>, level: number): Finding {
  const { value, low, high } = c.delta;
  if (value === null || low === null || high === null) return 'none';
  const excludes = low > 0 || high < 0;
  const small = c.p_value < 1 - level;
  if (excludes !== small) return 'apart';
  if (!excludes) return 'open';
  return low > 0 === (c.better === 'higher') ? 'better' : 'worse';
}

/** Decimals at which an end that is not zero does not read as zero, three at least: −0.0004 is not "0.000". */
export function decimals(values: (number | null)[]): number {
  const sizes = values.filter((v): v is number => v !== null && v !== 0 && Number.isFinite(v)).map(Math.abs);
  let d = 3;
  while (d < 9 && sizes.some((v) => Number(v.toFixed(d)) === 0)) d++;
  return d;
}
