// Smoothing, and the names of metrics: their arrangement and the expressions that find them.

/** Exponential moving average, weight in [0, 1), with the start's bias taken out (Adam's correction:
 *  divide by 1 − wⁿ). A gap stays a gap and does not move the average. */
export function smooth(values: (number | null)[], weight: number): (number | null)[] {
  if (weight <= 0) return values;
  let mean = 0;
  let n = 0;
  return values.map((v) => {
    if (v === null) return null;
    n++;
    mean = weight * mean + (1 - weight) * v;
    return mean / (1 - weight ** n);
  });
}

export type Grouping = 'prefix' | 'name';

export interface Card {
  title: string;
  metrics: { metric: string; label: string }[];
}

export interface Section {
  title: string;
  cards: Card[];
}

const byNumber = new Intl.Collator('en', { numeric: true });

// A number standing alone between the separators of a name: layers.3.det, det/layer_3, expert/3/load.
const ordinal = /(^|[/._-])(\d+)(?=$|[/._-])/;

/** Arranges metric names into sections of charts, a section for each first part, training first and in it the
 *  losses and scores, which are what one looks for, before rates and times. Names that differ in
 *  one number share a chart ("so8t/det/layer_0", "…/layer_1" → "so8t/det/layer_*"). By name, "train/loss"
 *  and "eval/loss" share the chart "loss". */
export function arrange(names: string[], by: Grouping): Section[] {
  const sections = new Map<string, Map<string, Card>>();
  for (const metric of [...names].sort(byNumber.compare)) {
    const parts = metric.split('/');
    let section = parts.length > 1 ? parts[0]! : '';
    let title = metric;
    let label = metric;
    const m = ordinal.exec(metric);
    if (m) {
      title = metric.replace(ordinal, '$1*');
      label = m[2]!;
    } else if (by === 'name' && parts.length === 2) {
      section = '';
      title = parts[1]!;
      label = parts[0]!;
    }
    const cards = sections.get(section) ?? new Map<string, Card>();
    sections.set(section, cards);
    const card = cards.get(title) ?? { title, metrics: [] };
    cards.set(title, card);
    card.metrics.push({ metric, label });
  }
  const rank = (s: string) => (s === 'train' ? 0 : /^(eval|val|test)/.test(s) ? 1 : 2);
  const wanted = (s: string) => (/loss|accuracy|f1/.test(s) ? 0 : /seconds?$|per_second|trained_tokens|learning_rate/.test(s) ? 2 : 1);
  return [...sections]
    .map(([title, cards]) => ({ title, cards: [...cards.values()].sort((a, b) => wanted(a.title) - wanted(b.title)) }))
    .sort((a, b) => rank(a.title) - rank(b.title));
}

/** A regular expression from what the user typed; a broken one gives the error's text. */
export function pattern(text: string): { match: (name: string) => boolean; error: string } {
  if (!text) return { match: () => true, error: '' };
  try {
    const re = new RegExp(text, 'i');
    return { match: (name) => re.test(name), error: '' };
  } catch (err) {
    return { match: () => true, error: (err as Error).message };
  }
}
