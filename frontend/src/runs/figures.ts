import { fixed, number } from '../lib/i18n.ts';

/** How the figures of a column are written: with as many decimals as tell a hundredth of their range apart, and four
 *  significant digits of the greatest. A column of very different sizes is written figure by figure. */
export function figures(values: number[]): (v: number | null | undefined) => string {
  const sizes = values.map(Math.abs).filter((v) => v > 0);
  if (!sizes.length || values.every(Number.isInteger)) return number;
  const greatest = Math.max(...sizes);
  const range = Math.max(...values) - Math.min(...values);
  if (greatest >= 1e6 || greatest < 1e-3 || greatest / Math.min(...sizes) > 1e4) return number;
  const decimals = Math.min(8, Math.max(0, 3 - Math.floor(Math.log10(greatest)) - 1, range > 0 ? Math.ceil(-Math.log10(range)) + 2 : 0));
  return (v) => fixed(v, decimals);
}
