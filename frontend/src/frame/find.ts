// What the one search finds: pages and experiments at once, runs and metrics as the server answers.
import type { Facet, Found } from '../runs/search.ts';
import type { Experiment, Module } from '../lib/types.ts';

export type FindKind = 'page' | 'experiment' | 'run' | 'metric' | 'module' | 'report';

export interface Hit {
  kind: FindKind;
  label: string;
  /** What tells it from others of its name. */
  about: string;
  href: string;
}

const words = (text: string): string[] => text.trim().split(/\s+/).filter(Boolean);

/** A filter of the server's language that finds every word as text, whatever signs are in it. */
export function wordsFilter(text: string): string {
  return words(text).map((w) => `"${w.replaceAll('"', '""')}"`).join(' ');
}

/** How well a name answers: begins with the text, has a part that does, or has its words; undefined for not at all. */
export function rank(name: string, text: string): number | undefined {
  const n = name.toLowerCase();
  const q = text.trim().toLowerCase();
  if (n.startsWith(q)) return 0;
  if (n.split(/[^\p{L}\p{N}]+/u).some((part) => part.startsWith(q))) return 1;
  return words(q).every((w) => n.includes(w)) ? 2 : undefined;
}

/** Those that answer, the best first. */
export function best<T>(items: T[], name: (x: T) => string, text: string, most: number): T[] {
  return items
    .map((x, i) => ({ x, i, r: rank(name(x), text) }))
    .filter((x) => x.r !== undefined)
    .sort((a, b) => a.r! - b.r! || a.i - b.i)
    .slice(0, most)
    .map(({ x }) => x);
}

const id = encodeURIComponent;

export const experimentHit = (e: Experiment): Hit => ({ kind: 'experiment', label: e.name, about: e.description ?? '', href: `/experiments/${id(e.id)}` });

export const runHit = (r: Found, experiment: string | undefined): Hit => ({ kind: 'run', label: r.name || r.id, about: experiment ?? '', href: `/runs/${id(r.id)}` });

export const reportHit = (r: { id: string; title: string }, about: string): Hit => ({ kind: 'report', label: r.title, about, href: `/reports/${id(r.id)}` });

export const moduleHit = (m: Module): Hit => ({ kind: 'module', label: m.name, about: `${m.version} · ${m.sha256.slice(0, 8)}`, href: `/modules/${id(m.sha256)}` });

/** A metric leads to all runs that have it, in its order. */
export function metricHit(f: Facet, about: string): Hit {
  const filter = `metrics.\`${f.name.replaceAll('`', '``')}\` IS NOT NULL`;
  return { kind: 'metric', label: f.name, about, href: `/runs?filter=${id(filter)}&sort=${id(`-metric:${f.name}`)}` };
}
