// Names of columns as a person reads them.
import { t } from '../lib/i18n.ts';
import { seriesName } from '../run/names.ts';
import { kindOf, nameOf, type ColumnKey } from './view.ts';

const attributes = {
  status: 'experiment.status', experiment: 'runs.experiment', started: 'experiment.started', ended: 'runs.ended', created: 'common.created',
  duration: 'experiment.duration', notes: 'runs.notes', id: 'runs.id', name: 'experiment.run', parent: 'runs.parent', folder: 'runs.folder',
} as const;

export const attributeTitle = (name: string): string => (name in attributes ? t(attributes[name as keyof typeof attributes]) : name);

/** A column in full: what it is of, and what it is called. */
export function keyTitle(key: ColumnKey): string {
  const kind = kindOf(key);
  if (kind === 'attribute') return attributeTitle(nameOf(key));
  if (kind === 'param' || kind === 'tag') return `${t(kind === 'param' ? 'run.param' : 'runs.tag')}: ${nameOf(key)}`;
  return `${seriesName(nameOf(key))} (${t(`runs.fold.${kind}`)})`;
}
