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

/** As a person reads it; what is not known keeps its own name. */
export function metricName(m: string): string {
  if (known[m]) return t(known[m]);
  const of = /^(recall|precision)\.(.+)$/.exec(m);
  return of ? t(of[1] === 'recall' ? 'ab.recallOf' : 'ab.precisionOf', { label: of[2]! }) : m;
}
