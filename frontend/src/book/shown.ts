// What cells show that only show what others gave: as the server makes it.
import type { Inference } from '../lib/types.ts';

export type Value = string | number | boolean | null;

export interface Rows {
  columns: string[];
  rows: Value[][];
  runs?: string[];
  total: number;
  notes?: string[];
}

export interface Line {
  name: string;
  x?: (number | null)[];
  y: (number | null)[];
  labels?: string[];
}

export interface Chart {
  type: 'line' | 'bar' | 'scatter';
  title: string;
  x: string;
  log: boolean;
  lines: Line[];
}

export interface Comparison {
  a: string;
  b: string;
  runs: [string, string];
  facts: { name: string; a: Value; b: Value }[];
  rows: number;
  only_a: number;
  only_b: number;
  relabelled: number;
  inference: Inference | null;
  designed: boolean;
}

export interface Samples {
  run?: string;
  rows: { index: number; text: string; language: string; domain: string; label: string; a: string; b: string }[];
  total: number;
  of: number;
  counts: Record<string, number>;
}

export interface Control {
  value: Value;
  control: 'choice' | 'slider' | 'number' | 'switch' | 'text';
  label: string;
  min: number;
  max: number;
  step: number;
  choices?: Value[];
}
