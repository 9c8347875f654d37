// What compared runs are called: by the names that persons gave them; where those say nothing or are shared, by what differs.
import type { Facet, Facets } from '../runs/search.ts';
import { differences, namingKeys, unnamed } from '../runs/naming.ts';
import { nameOf } from '../runs/view.ts';
import type { Run } from '../lib/types.ts';

const places = /^(output_dir|name)$|_(dir|path)$/; // where a run writes says nothing of it
/** What a model was trained with tells more than how it was tested. */
const rank = (name: string): number => (/^(training|model|so8t|data)\./.test(name) ? 0 : /^(test|report)\./.test(name) ? 2 : 1);

/** A name for each run, no two the same. */
export function runNames(runs: Run[]): Map<string, string> {
  const names = [...new Set(runs.flatMap((r) => Object.keys(r.params ?? {})))].filter((n) => !places.test(n)).sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  const items = names.map((name): Facet => {
    const values = runs.map((r) => r.params?.[name]);
    const distinct = new Set(values.filter((v) => v !== undefined)).size;
    return { key: '', kind: 'params', name, runs: values.filter((v) => v !== undefined).length, distinct, varies: new Set(values).size > 1, example: values.find((v) => v !== undefined) ?? '' };
  });
  const facets: Facets = { items, total: runs.length };
  const keys = namingKeys(facets);
  const shared = (name: string) => runs.filter((r) => r.name === name).length > 1;
  const out = runs.map((r) => {
    const differs = differences(keys, (k) => r.params?.[nameOf(k)]);
    if (unnamed(r)) return differs || r.name || r.id.slice(-8);
    return shared(r.name) && differs ? `${r.name} · ${differs}` : r.name;
  });
  return new Map(runs.map((r, i) => [r.id, out.indexOf(out[i]!) === i && out.lastIndexOf(out[i]!) === i ? out[i]! : `${out[i]} (${r.id.slice(-6)})`]));
}
