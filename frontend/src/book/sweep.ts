// The points of a sweep as rows of a table: of its result, or, while it runs, of the runs that its points are.
import { valuesOf } from './yamledit.ts';

export type Value = string | number | boolean | null;

/** What a sweep found, as sweep.json has it. */
export interface SweepResult {
  of: string;
  step: string;
  metric: string;
  direction: 'max' | 'min';
  method: string;
  keys: string[];
  budget?: string;
  rounds: { budget?: Value; points: number }[];
  points: {
    name: string;
    params: Record<string, Value>;
    state: 'finished' | 'stopped' | 'failed';
    reason?: string;
    value: number | null;
    tries: { name: string; key: string; value: number | null; rank: number }[];
  }[];
  best: { point: number; name: string; value: number };
  looks: number;
}

/** A run that is a part of the sweep's. */
export interface Part {
  id: string;
  name: string;
  status: string;
  error?: string;
  /** Of the sweep's keys. */
  params: Record<string, Value>;
  value: number | null;
}

/** What is tried: of a result, or of a body while there is none. */
export interface Trial {
  of: string;
  keys: string[];
  metric: string;
  direction: 'max' | 'min';
}

export interface Row {
  name: string;
  /** Its last run; none where the tracker has none. */
  run: string | undefined;
  params: Record<string, Value>;
  value: number | null;
  state: 'finished' | 'stopped' | 'failed' | 'running';
  reason: string;
  /** How many rounds it was in. */
  rounds: number;
  best: boolean;
}

/** What a cell's YAML says of its sweep; undefined while it is none. */
export function trialOf(body: string): Trial | undefined {
  const v = valuesOf(body);
  const metric = /^\$\{[^{}]*?\.metrics\.([^{}]+)\}$/.exec(String(v?.metric ?? ''))?.[1];
  if (!v || typeof v.of !== 'string' || metric === undefined || typeof v.keys !== 'object' || v.keys === null || Array.isArray(v.keys)) return undefined;
  return { of: v.of, keys: Object.keys(v.keys), metric, direction: v.direction === 'min' ? 'min' : 'max' };
}

const better = (direction: 'max' | 'min') => (a: { value: number | null }, b: { value: number | null }) => {
  if (a.value === null || b.value === null) return Number(a.value === null) - Number(b.value === null);
  return direction === 'max' ? b.value - a.value : a.value - b.value;
};

/** A result's points, the best first: those of the last round, then those stopped before it, the failed last. */
export function rowsOf(r: SweepResult, parts: Part[]): Row[] {
  const ids = new Map(parts.map((p) => [p.name, p.id]));
  const order = better(r.direction);
  return r.points
    .map((p, i): Row => ({
      name: p.name, params: p.params, value: p.value, state: p.state, reason: p.reason ?? '', rounds: p.tries.length, best: i === r.best.point,
      run: ids.get(p.tries.at(-1)?.name ?? ''),
    }))
    .sort((a, b) => Number(b.best) - Number(a.best) || Number(a.state === 'failed') - Number(b.state === 'failed') || b.rounds - a.rounds || order(a, b));
}

/** The runs of a sweep that is under way, the best so far first. */
export function rowsUnderWay(direction: 'max' | 'min', parts: Part[]): Row[] {
  return parts
    .map((p): Row => ({
      name: p.name, run: p.id, params: p.params, value: p.value, rounds: 1, best: false, reason: p.error ?? '',
      state: p.status === 'finished' ? 'finished' : p.status === 'failed' || p.status === 'interrupted' ? 'failed' : 'running',
    }))
    .sort((a, b) => Number(a.state !== 'finished') - Number(b.state !== 'finished') || better(direction)(a, b));
}
