// Results of metric modules on an A/B page: replacing one by another, and their columns of the samples.
import { canonical } from './parameters.ts';
import type { ModuleResult, Run } from './types.ts';

const identity = (m: ModuleResult): string => `${m.sha256} ${canonical(m.params ?? {})}`;

/** The list with the result in it; it takes the place of one of the same module and parameters. */
export function withResult(list: ModuleResult[], result: ModuleResult): ModuleResult[] {
  const at = list.findIndex((m) => identity(m) === identity(result));
  return at < 0 ? [...list, result] : list.with(at, result);
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

/** The per-sample outputs that fit the samples. Labels are the outputs' names, with the module's name, its
 *  version and the parameters as far as they are needed to tell columns apart. */
export function sampleColumns(modules: ModuleResult[], rows: number): SampleColumn[] {
  const found = modules.flatMap((m) =>
    (m.outputs ?? [])
      .filter((o) => o.kind === 'column' && o.values?.length === rows)
      .map((o) => {
        const names = [o.name, `${m.name} ${o.name}`, `${m.name} ${m.version} ${o.name}`];
        names.push(`${names[2]} ${paramsText(m)}`.trim(), `${names[2]} ${m.sha256.slice(0, 10)} ${paramsText(m)}`.trim());
        return { key: `${identity(m)} ${o.name}`, names, values: o.values ?? [] };
      }),
  );
  return found.map((c) => {
    const level = c.names.findIndex((n, i) => found.every((other) => other === c || other.names[i] !== n));
    return { key: c.key, label: c.names.at(level)!, about: c.names[3]!, values: c.values };
  });
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
