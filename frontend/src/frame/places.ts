// The main pages, as sidebar, tab bar and search list them.
import type { Key } from '../lib/i18n.ts';
import type { Route } from '../lib/router.svelte.ts';
import type { IconName } from './Icon.svelte';

export interface Place {
  href: string;
  label: Key;
  icon: IconName;
  /** Two keys that go there. */
  combo: string;
  /** Shown only where queries are answered or wait for a person. */
  ofThink?: true;
  /** Whether a page belongs to it. */
  holds: Route['page'][];
}

export const places: Place[] = [
  { href: '/', label: 'app.experiments', icon: 'folder', combo: 'g e', holds: ['experiments', 'experiment', 'run', 'abtest'] },
  { href: '/runs', label: 'frame.allRuns', icon: 'runs', combo: 'g r', holds: ['runs'] },
  { href: '/queue', label: 'app.queue', icon: 'queue', combo: 'g q', holds: ['queue'] },
  { href: '/notebooks', label: 'app.notebooks', icon: 'book', combo: 'g n', holds: ['books', 'book', 'guide'] },
  { href: '/reports', label: 'app.reports', icon: 'report', combo: 'g p', holds: ['reports', 'report'] },
  { href: '/modules', label: 'app.modules', icon: 'metrics', combo: 'g m', holds: ['modules', 'module'] },
  { href: '/escalations', label: 'escalations.title', icon: 'person', combo: 'g w', ofThink: true, holds: ['escalations'] },
];

/** Those that this server has. */
export const placesOf = (think: boolean): Place[] => places.filter((p) => think || !p.ofThink);
