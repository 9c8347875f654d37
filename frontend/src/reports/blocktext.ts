// A block in words: on its card, among what can be added, and where two versions are compared.
import { t } from '../lib/i18n.ts';
import type { Body } from './api.ts';
import type { Block } from './kinds.ts';

/** What a run is called. */
export type Name = (id: string) => string;

const listed = 6;
const list = (items: string[]): string => items.slice(0, listed).join(', ') + (items.length > listed ? ', …' : '');

export const side = (b: Block, i: 0 | 1, name: Name): string => t('reports.armOf', { name: name(b.runs?.[i] ?? ''), arm: b.arms?.[i] ?? 'B' });

/** What it is of; '' for a text. */
export function ofWhat(b: Block, name: Name): string {
  switch (b.kind) {
    case 'prose': return '';
    case 'appendix': return t('reports.appendixText');
    case 'paired': return t('reports.pair', { a: side(b, 0, name), b: side(b, 1, name) });
    case 'runs': case 'curves': {
      const runs = b.runs ?? [];
      return t('reports.runs', { count: runs.length, list: list(runs.map(name)) });
    }
  }
  return name(b.run ?? '');
}

/** A report as lines that a difference can be shown of. */
export const lines = (title: string, body: Body, name: Name): string =>
  [
    `# ${title}`,
    ...body.blocks.flatMap((b) => [
      '', `[${[t(`reports.kind.${b.kind}`), b.title, ofWhat(b, name)].filter(Boolean).join(' · ')}]`,
      ...(b.text ? b.text.split('\n') : []), ...(b.metrics?.length ? [t('reports.metrics', { list: b.metrics.join(', ') })] : []),
    ]),
    '',
  ].join('\n');
