// What a run is called: as a person named it, else by the parameters in which it differs from the others.
import { facetKey, type Facets } from './search.ts';
import { nameOf, type ColumnKey } from './view.ts';

/** A name that was made by a clock or a counter, so that it says nothing. */
export const unnamed = (r: { id: string; name: string }): boolean =>
  r.name === '' || r.name === r.id || /^\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?$/.test(r.name);

const most = 3;
const short: Record<string, string> = { learning_rate: 'lr', batch_size: 'batch', random_seed: 'seed', num_epochs: 'epochs' };

/** The parameters that a name is made of: those that differ, of few values before those of many, a seed last. */
export function namingKeys(facets: Facets): ColumnKey[] {
  const last = (n: string) => (/seed/i.test(n) ? 1 : 0);
  return facets.items
    .filter((f) => facetKey(f).startsWith('param:') && f.varies && f.distinct > 1 && (f.example ?? '').length <= 40)
    .map((f, i) => ({ f, i }))
    .sort((a, b) => last(a.f.name) - last(b.f.name) || a.f.distinct - b.f.distinct || a.i - b.i)
    .slice(0, most)
    .map(({ f }) => facetKey(f));
}

function shortName(key: ColumnKey): string {
  const name = nameOf(key);
  const end = name.slice(Math.max(name.lastIndexOf('.'), name.lastIndexOf('/')) + 1);
  return short[end] ?? end;
}

/** "lora_r=8 · lr=2e-4"; empty where none of the parameters is set. */
export function differences(keys: ColumnKey[], value: (key: ColumnKey) => unknown): string {
  return keys.flatMap((k) => {
    const v = value(k);
    return v === undefined || v === null || v === '' ? [] : `${shortName(k)}=${ending(brief(String(v)))}`;
  }).join(' · ');
}

/** A small or large figure as a person writes it: 0.0002 is 2e-4. */
export function brief(v: string): string {
  const n = Number(v);
  return v.trim() !== '' && Number.isFinite(n) && n !== 0 && (Math.abs(n) < 1e-3 || Math.abs(n) >= 1e7) ? n.toExponential().replace('e+', 'e') : v;
}

/** The last part of a path. */
const ending = (v: string): string => /[^/\\]+(?=[/\\]*$)/.exec(v)?.[0] ?? v;
