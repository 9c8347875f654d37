// Results of metric modules on an A/B page: replacing one by another, and their columns of the samples.
import { canonical } from './parameters.ts';
import type { ModuleResult, Run } from './types.ts';

const identity = (m: ModuleResult): string => m.key ?? `${m.sha256} ${canonical(m.params ?? {})}`;

/** Whether two results are of one module and parameters; older ones without keys are told by what was given. */
export function sameResult(a: ModuleResult, b: ModuleResult): boolean {
  if (a.key && b.key) return a.key === b.key;
  return a.sha256 === b.sha256 && canonical(a.params ?? {}) === canonical(b.params ?? {});
}

/** The list with the result in it; it takes the place of one of the same module and parameters. */
export function withResult(list: ModuleResult[], result: ModuleResult): ModuleResult[] {
  const at = list.findIndex((m) => sameResult(m, result));
  return at < 0 ? [...list, result] : list.with(at, result);
}

const paramText = (m: ModuleResult, name: string): string =>
  name in (m.params ?? {}) ? JSON.stringify(m.params![name]) : 'default';

/** Names of results that are shown together, as experiments.ModuleLabels makes them: the metric's name, and
 *  what tells those of one name apart: version, short hash, the parameters that differ, at last the key. */
export function moduleLabels(results: ModuleResult[]): string[] {
  const labels = results.map((m) => {
    const label = [m.name];
    let rest = results.filter((o) => o.name === m.name);
    const narrow = (like: (o: ModuleResult) => boolean): boolean => {
      const before = rest.length;
      rest = rest.filter(like);
      return rest.length < before;
    };
    if (narrow((o) => o.version === m.version)) label.push(m.version);
    if (narrow((o) => o.sha256 === m.sha256)) label.push(m.sha256.slice(0, 10));
    for (const name of [...new Set(rest.flatMap((o) => Object.keys(o.params ?? {})))].sort()) {
      const mine = paramText(m, name);
      if (rest.some((o) => paramText(o, name) !== mine)) label.push(`${name}=${[...mine].length > 40 ? `${[...mine].slice(0, 40).join('')}…` : mine}`);
    }
    return label.join(' ');
  });
  const seen = new Map<string, string>();
  return labels.map((label, i) => {
    const key = identity(results[i]!);
    const whole = (seen.get(label) ?? key) === key ? label : `${label} ${key}`;
    seen.set(label, seen.get(label) ?? key);
    return whole;
  });
}

/** What a series of the A/B test's modules is called: the output, and the result's label where it is known,
 *  else the metric's name with the key, which tells it apart. Any other series keeps its name. */
export function seriesLabel(name: string, labels?: Map<string, string>): string {
  const found = /^abtest\/metric\/([^/]+)\/([0-9a-f]{16})\/(.+)$/.exec(name);
  if (!found) return name;
  return `${found[3]} · ${labels?.get(found[2]!) ?? `${found[1]} ${found[2]!.slice(0, 8)}`}`;
}

/** One value a sample, in the order of the samples. */
export interface SampleColumn {
  key: string; // stays when the result is replaced
  label: string; // no two columns have the same
  about: string;
  values: (number | null)[];
}

export const paramsText = (m: ModuleResult): string =>
  Object.entries(m.params ?? {}).map(([k, v]) => `${k}=${JSON.stringify(v)}`).join(' ');

/** The per-sample outputs that fit the samples. Labels are the outputs' names, with the result's label where
 *  two outputs have one name. */
export function sampleColumns(modules: ModuleResult[], rows: number): SampleColumn[] {
  const labels = moduleLabels(modules);
  const found = modules.flatMap((m, i) =>
    (m.outputs ?? [])
      .filter((o) => o.kind === 'column' && o.values?.length === rows)
      .map((o) => ({
        key: `${identity(m)} ${o.name}`,
        name: o.name,
        whole: `${o.name} · ${labels[i]}`,
        about: `${m.name} ${m.version} ${o.name} ${paramsText(m)}`.trim(),
        values: o.values ?? [],
      })),
  );
  return found.map(({ name, whole, ...c }) => ({
    ...c,
    label: found.filter((other) => other.name === name).length > 1 ? whole : name,
  }));
}

/** Keys of one result's columns. */
export const columnKeys = (m: ModuleResult): string[] =>
  (m.outputs ?? []).filter((o) => o.kind === 'column').map((o) => `${identity(m)} ${o.name}`);

/** Whether a run has an A/B result, as far as its record tells: a pipeline's run by its step; of a run that
 *  a client logs only its files tell (undefined). */
export function hasABTest(run: Run): boolean | undefined {
  if (!run.steps?.length) return undefined;
  return run.steps.some((s) => s.kind === 'abtest' && (s.status === 'finished' || s.status === 'reused'));
}
