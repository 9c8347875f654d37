// What a page offers to add to a report.
import { api } from '../lib/api.ts';
import { first, mostCurves, mostMetrics, mostRuns, ofAnyRun, sections, type Block } from './kinds.ts';

export interface Offer {
  block: Block;
  /** Chosen at first. */
  on: boolean;
}

/** Sections of a run; without an A/B test only those that say something. */
export function ofRun(run: string, tested: boolean): Offer[] {
  return sections
    .filter((kind) => tested || ofAnyRun.includes(kind))
    .map((kind) => ({ block: { kind, run }, on: tested ? first.includes(kind) : kind === 'trained' || kind === 'training' }));
}

/** Runs side by side, and their curves. */
export function ofRuns(runs: string[], metrics: string[]): Offer[] {
  if (!runs.length) return [];
  const shown = metrics.slice(0, mostMetrics);
  const curves = shown.filter((m) => !m.startsWith('abtest/')); // which have one point
  return [
    { block: { kind: 'runs', runs: runs.slice(0, mostRuns), metrics: shown }, on: true },
    ...(curves.length ? [{ block: { kind: 'curves' as const, runs: runs.slice(0, mostCurves), metrics: curves }, on: false }] : []),
  ];
}

export const ofPair = (a: { run: string; arm: string }, b: { run: string; arm: string }): Offer[] =>
  [{ block: { kind: 'paired', runs: [a.run, b.run], arms: [a.arm, b.arm] }, on: true }];

/** Whether a run has an A/B test. */
export const tested = async (run: string): Promise<boolean> => ((await api.artifacts(run)).items ?? []).some((a) => a.path === 'abtest/results.json');
