// WebAssembly metrics named in a cell's YAML.
import { valueAt, valuesOf, withValue, type Plain } from './yamledit.ts';
import { withItem } from './yamllist.ts';

/** Kinds of cells that compute metrics. */
export const takesModules = (kind: string | undefined): boolean => kind === 'abtest' || kind === 'metric';

/** The body that names an uploaded module: an A/B test's as one metric more, a metric's in place of the one it has. undefined: it is
 *  named already. Throws where the body is no YAML, or has something else in that place. */
export function withMetric(body: string, kind: string, module: { sha256: string; name: string; version: string }): string | undefined {
  const values = valuesOf(body);
  if (kind === 'metric') {
    if (valueAt(values, ['metric', 'module']) === module.sha256) return undefined;
    return withValue(body, ['metric', 'module'], module.sha256);
  }
  const list = valueAt(values, ['test', 'metrics']);
  if (Array.isArray(list) && list.some((m) => (m as { module?: Plain } | null)?.module === module.sha256)) return undefined;
  const label = `${module.name} ${module.version}`;
  return withItem(body, ['test', 'metrics'], { module: module.sha256 }, /^[\w.+ -]{1,80}$/.test(label) ? label : '');
}
