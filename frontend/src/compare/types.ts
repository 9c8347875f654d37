// The bodies of /compare/samples and /samples/history.
import type { Inference } from '../lib/types.ts';
import type { ColumnAbout } from './conditions.ts';

export interface Judged {
  run_id: string;
  name: string;
  arm: string;
  model: string;
  rows: number;
}

export interface Answer {
  prediction: string;
  correct: boolean;
  probability?: (number | null)[];
  output?: string;
}

export interface ComparedSample {
  key: string;
  index: number;
  group: string;
  text: string;
  language: string;
  domain: string;
  label: string;
  reference?: string;
  columns?: Record<string, unknown>;
  /** Of the columns that the question names. */
  values?: Record<string, string>;
  a: Answer;
  b: Answer;
}

export interface Counts {
  both_right: number;
  fixed: number;
  broken: number;
  both_wrong: number;
  differ: number;
}

export interface ComparedSamples {
  a: Judged;
  b: Judged;
  rows: number;
  only_a: number;
  only_b: number;
  relabelled: number;
  inference: Inference | null;
  mcnemar: { only_a: number; only_b: number; p_value: number | null; exact: boolean } | null;
  counts: Counts;
  by: Record<string, Record<string, Counts>>;
  labels: string[];
  confusion: { a: number[][] | null; b: number[][] | null };
  columns: ColumnAbout[] | null;
  total: number;
  items: ComparedSample[];
}

export interface Visit {
  run_id: string;
  name: string;
  experiment_id: string;
  created_at: string;
  arm: string;
  model: string;
  label: string;
  prediction: string;
  correct: boolean;
  output?: string;
}

export interface SampleHistory {
  key: string;
  text: string;
  label: string;
  items: Visit[];
  scanned: number;
  next_cursor: string;
}
