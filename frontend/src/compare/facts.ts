// What runs are compared by, in one table: parameters, code, environment, data, metrics.
import { title } from '../lib/runs.ts';
import type { Run } from '../lib/types.ts';

export const groups = ['metrics', 'params', 'data', 'steps', 'code', 'environment', 'tags'] as const;
export type Group = (typeof groups)[number];

export interface Fact {
  group: Group;
  name: string;
  /** One a run, in their order. */
  values: (string | number | null | undefined)[];
  equal: boolean;
}

const code = /^(mlflow\.source\.|git\.|code\.|source\.)/;
const environment = /^(env\.|system\.|python|host|mlflow\.user$)/;

/** Where a run's A/B test was measured; what it says of other things stands with those. */
export type Environment = Record<string, string>;
const ofCode = ['triality', 'engine'];
const ofNone = ['seed', 'started'];

function of(run: Run, measured: Environment): Record<Group, Record<string, string | number | null>> {
  const out: Record<Group, Record<string, string | number | null>> = { metrics: {}, params: {}, data: {}, steps: {}, code: {}, environment: {}, tags: {} };
  Object.assign(out.metrics, run.summary);
  for (const [k, v] of Object.entries(run.params ?? {})) {
    const group = /^(data\.|data_hash$)/.test(k) ? 'data' : environment.test(k) ? 'environment' : 'params';
    out[group][k] = v;
  }
  for (const [k, v] of Object.entries(run.tags ?? {})) out[code.test(k) ? 'code' : environment.test(k) ? 'environment' : 'tags'][k] = v;
  // A step's key is a hash of its inputs, its configuration, the seed and the engine.
  for (const s of run.steps ?? []) if (s.key) out[s.kind === 'convert' ? 'data' : 'steps'][`${title(s)} (sha256)`] = s.key.slice(0, 16);
  for (const [k, v] of Object.entries(measured)) if (!ofNone.includes(k)) out[ofCode.includes(k) ? 'code' : 'environment'][k] = v;
  if (run.job?.worker) out.environment.worker = run.job.worker;
  return out;
}

/** Every fact that a run has, by group and name. */
export function facts(runs: Run[], measured: ReadonlyMap<string, Environment> = new Map()): Fact[] {
  const all = runs.map((r) => of(r, measured.get(r.id) ?? {}));
  return groups.flatMap((group) => {
    const names = [...new Set(all.flatMap((r) => Object.keys(r[group])))].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
    return names.map((name): Fact => {
      const values = all.map((r) => r[group][name]);
      return { group, name, values, equal: values.every((v) => v === values[0]) };
    });
  });
}
