// Filtering and sorting of an A/B test's samples.
import { byCell } from './runs.ts';
import type { Sample } from './types.ts';

export type Show = 'all' | 'disagree' | 'wrongA' | 'wrongB' | 'fixed' | 'broken';
export const shows: Show[] = ['all', 'disagree', 'wrongA', 'wrongB', 'fixed', 'broken'];

export interface SampleFilter {
  show: Show;
  label: string;
  language: string;
  domain: string;
  text: string;
}

export function filterSamples(samples: Sample[], f: SampleFilter): Sample[] {
  const needle = f.text.trim().toLowerCase();
  return samples.filter((s) => {
    const a = s.prediction_a === s.label;
    const b = s.prediction_b === s.label;
    switch (f.show) {
      case 'disagree': if (s.prediction_a === s.prediction_b) return false; break;
      case 'wrongA': if (a) return false; break;
      case 'wrongB': if (b) return false; break;
      case 'fixed': if (a || !b) return false; break;
      case 'broken': if (!a || b) return false; break;
      case 'all':
    }
    if (f.label && s.label !== f.label) return false;
    if (f.language && s.language !== f.language) return false;
    if (f.domain && s.domain !== f.domain) return false;
    return !needle || [s.text, s.group, s.output_a, s.output_b].join('\n').toLowerCase().includes(needle);
  });
}

/** The samples by one figure each; equal ones keep their order, and those without come last. */
export function sortSamples(
  samples: Sample[],
  figure: (s: Sample) => number | null | undefined,
  descending: boolean,
): Sample[] {
  return samples.toSorted((a, b) => byCell(figure(a), figure(b), descending));
}

export const distinct = (values: string[]): string[] => [...new Set(values.filter(Boolean))].sort();

export type Verdict = 'better' | 'worse' | 'unclear';

/** What a difference B − A with its interval says; an interval that touches zero says nothing. */
export function verdict(d: { low: number | null; high: number | null; better: string; reading?: Verdict }): Verdict {
  if (d.reading) return d.reading;
  if (d.low === null || d.high === null || (d.low <= 0 && d.high >= 0)) return 'unclear';
  return d.low > 0 === (d.better !== 'lower') ? 'better' : 'worse';
}
