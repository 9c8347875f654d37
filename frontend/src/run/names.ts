// Names of the figures that an A/B test always has.
import { t, type Key } from '../lib/i18n.ts';

const known: Record<string, Key> = {
  accuracy: 'ab.accuracy',
  macro_f1: 'ab.macroF1',
  log_loss: 'ab.logLoss',
  false_allow: 'ab.falseAllow',
  over_refusal: 'ab.overRefusal',
  latency_median_ms: 'ab.latencyMedian',
  latency_p95_ms: 'ab.latencyP95',
};

/** The server names the baselines that it computes; any other keeps its own words. */
export const baselineName = (name: string): string =>
  name === 'majority' ? t('ab.majority') : name === 'naive_bayes' ? t('ab.naiveBayes') : name === 'linear' ? t('ab.linear') : name;

/** A run's metric as a person reads it: of those that an A/B test writes ("abtest/b/macro_f1") the figure and the model,
 *  "Macro F1 · B". Others keep their own name. */
export function seriesName(name: string): string {
  const [, arm, metric] = /^abtest\/(a|b|delta|baseline)\/(.+)$/.exec(name) ?? [];
  if (name === 'abtest/mcnemar_p') return t('ab.mcnemarP');
  if (!arm || !metric) return name;
  if (arm === 'baseline') return `${t('ab.accuracy')} · ${baselineName(metric)}`;
  return `${metricName(metric)} · ${arm === 'delta' ? t('ab.delta') : arm.toUpperCase()}`;
}

/** As a person reads it; what is not known keeps its own name. */
export function metricName(m: string): string {
  if (known[m]) return t(known[m]);
  const of = /^(recall|precision)\.(.+)$/.exec(m);
  return of ? t(of[1] === 'recall' ? 'ab.recallOf' : 'ab.precisionOf', { label: of[2]! }) : m;
}
