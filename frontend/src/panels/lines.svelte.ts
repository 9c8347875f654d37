// What a panel of lines knows: its runs' series, its zoom, and the scene that follows from them.
import { untrack } from 'svelte';
import { span, tickText, timesAmong } from '../lib/i18n.ts';
import { prefs } from '../lib/prefs.svelte.ts';
import { colourOf } from './palette.ts';
import type { Scene } from './plot.ts';
import { yRange } from './range.ts';
import { lastAt, type Series } from './series.ts';
import type { PanelSpec, RunRef, XKey } from './spec.ts';
import { loading, seriesStore } from './store.ts';
import { meanOf, trace, type Trace } from './traces.ts';

/** How the lines are drawn: the panel's own wishes over the workspace's. */
export interface LineStyle {
  x: XKey;
  smoothing: number;
  log: boolean;
  logX: boolean;
  all: boolean;
}

/** More lines than these say nothing and take seconds. */
export const mostLines = 400;

export class Lines {
  spec = $state.raw<PanelSpec>({ id: '', kind: 'line' });
  runs = $state.raw<RunRef[]>([]);
  style = $state.raw<LineStyle>({ x: 'step', smoothing: 0, log: false, logX: false, all: false });
  /** Metrics that give the epoch, of which a run has one. */
  epochs = $state.raw<string[]>([]);
  zoom = $state.raw<[number, number]>();
  #fine = $state.raw<Map<string, Map<string, Series>>>();
  #rev = $state(0);
  #abort: AbortController | undefined;

  readonly metrics = $derived((this.spec.metrics ?? []).slice(0, Math.max(1, Math.floor(mostLines / Math.max(1, this.runs.length)))));
  readonly shown = $derived(this.runs.slice(0, mostLines));
  readonly cut = $derived((this.spec.metrics ?? []).length * this.runs.length - this.metrics.length * this.shown.length);
  /** The metrics that x is read from, where it is neither step nor time. */
  readonly along = $derived(this.style.x === 'epoch' ? this.epochs : this.style.x.startsWith('metric:') ? [this.style.x.slice(7)] : []);

  /** Has the series loaded and follows them; call in an effect. */
  follow(): () => void {
    const ids = this.shown.map((r) => r.id);
    const names = [...new Set([...this.metrics, ...this.along])];
    const want = () => names.forEach((m) => seriesStore.want(m, ids));
    let ended = false;
    const heard = () => {
      if (ended) return;
      this.#rev++;
      want(); // those that began anew
    };
    const stops = names.map((m) => seriesStore.listen(m, heard));
    want();
    untrack(() => this.#rev++); // they are on their way
    return () => {
      ended = true;
      stops.forEach((stop) => stop());
    };
  }

  retry(): void {
    const ids = this.shown.map((r) => r.id);
    for (const m of [...this.metrics, ...this.along]) seriesStore.want(m, ids);
    this.#rev++;
  }

  readonly error = $derived.by(() => {
    void this.#rev;
    return this.metrics.map((m) => seriesStore.error(m)).find((e) => e !== undefined);
  });

  readonly busy = $derived.by(() => {
    void this.#rev;
    return this.metrics.some((m) => this.shown.some((r) => loading(seriesStore.get(m, r.id))));
  });

  readonly traces = $derived.by((): Trace[] => {
    void this.#rev;
    const { x, log, smoothing } = this.style;
    const many = this.shown.length > 1;
    const all: { t: Trace; run: RunRef; metric: number }[] = [];
    this.metrics.forEach((metric, k) => {
      for (const run of this.shown) {
        const series = this.#fine?.get(metric)?.get(run.id) ?? seriesStore.get(metric, run.id);
        if (!series?.steps.length) continue;
        const several = this.metrics.length > 1;
        const ink = colourOf(many ? run.colour + (several ? 20 * k : 0) : several ? k : run.colour, prefs.dark);
        const along = this.along.map((m) => seriesStore.get(m, run.id)).find((s) => s?.steps.length) ?? undefined;
        const name = [many ? run.name : '', several ? labelOf(metric, this.metrics) : many ? '' : metric].filter(Boolean).join(' · ');
        all.push({ t: trace({ key: run.id, name, ink: run.baseline && many ? { colour: grey(), dash: [6, 3] } : ink, series, along }, x, log, smoothing), run, metric: k });
      }
    });
    const lines = all.filter((l) => l.t.x.length);
    if (!lines.some((l) => l.run.group !== undefined)) return lines.map((l) => l.t);
    const groups = new Map<string, typeof lines>();
    for (const l of lines) {
      const key = `${l.run.group ?? l.run.id}\u0000${l.metric}`;
      groups.set(key, [...(groups.get(key) ?? []), l]);
    }
    return [...groups.values()].map((members) => {
      const { t, run } = members[0]!;
      if (run.group === undefined) return t;
      return meanOf(members.map((m) => m.t), run.group, run.group, t.ink);
    });
  });

  readonly x = $derived.by((): [number, number] => {
    if (this.zoom) return this.zoom;
    let [min, max] = [Infinity, -Infinity];
    for (const t of this.traces) {
      const first = this.style.logX ? t.x.find((v) => v > 0) : t.x[0];
      if (first !== undefined) min = Math.min(min, first);
      max = Math.max(max, t.x[t.x.length - 1]!);
    }
    if (!(max >= min)) return this.style.logX ? [1, 10] : [0, 1];
    return max > min ? [min, max] : this.style.logX ? [min / 2, max * 2] : [min - 0.5, max + 0.5];
  });

  readonly y = $derived(yRange(this.traces, this.style.log, this.style.all, this.x[0], this.x[1]));

  scene(highlight: string): Scene {
    const { x } = this.style;
    return {
      traces: this.traces, x: this.x, y: [this.y.min, this.y.max], log: this.style.log, logX: this.style.logX, outside: this.y.outside, highlight,
      xText: (v) => (x === 'relative' ? v.map((s) => span(s * 1000)) : v.map(x === 'time' ? timesAmong(v) : tickText(v))),
      yText: (v) => v.map(tickText(v)),
      sync: x,
    };
  }

  /** Shows a range of x and has its points loaded, finer than those of the whole. */
  async zoomTo(from: number, to: number): Promise<void> {
    this.#abort?.abort();
    this.zoom = [from, to];
    const abort = (this.#abort = new AbortController());
    const steps = this.#stepsOf(from, to);
    if (!steps) return;
    const ids = this.shown.map((r) => r.id);
    const got = new Map<string, Map<string, Series>>();
    // Where nothing was left out, nothing finer is to be had.
    const thinned = this.metrics.filter((m) => ids.some((r) => {
      const s = seriesStore.get(m, r);
      return s && s.total > s.steps.length;
    }));
    await Promise.all(thinned.map(async (m) => got.set(m, await seriesStore.finer(m, ids, steps[0], steps[1], abort.signal))));
    if (!abort.signal.aborted && thinned.length) this.#fine = got;
  }

  reset(): void {
    this.#abort?.abort();
    this.zoom = undefined;
    this.#fine = undefined;
  }

  /** The steps between which all points of a range of x lie. */
  #stepsOf(from: number, to: number): [number, number] | undefined {
    if (this.style.x === 'step') return [from, to];
    let [min, max] = [Infinity, -Infinity];
    for (const m of this.metrics) {
      for (const run of this.shown) {
        const s = seriesStore.get(m, run.id);
        if (!s?.steps.length) continue;
        const along = this.along.map((a) => seriesStore.get(a, run.id)).find((a) => a?.steps.length) ?? undefined;
        if (this.style.x === 'time' || this.style.x === 'relative') {
          const xs = this.style.x === 'time' ? s.times : s.times.map((t) => (t - s.times[0]!) / 1000);
          min = Math.min(min, s.steps[Math.max(0, lastAt(xs, from))]!);
          max = Math.max(max, s.steps[Math.min(s.steps.length - 1, lastAt(xs, to) + 1)]!);
        } else if (along) {
          along.values.forEach((v, i) => {
            if (v >= from && v <= to) [min, max] = [Math.min(min, along.steps[Math.max(0, i - 1)]!), Math.max(max, along.steps[Math.min(along.steps.length - 1, i + 1)]!)];
          });
        }
      }
    }
    return min <= max ? [min, max] : undefined;
  }
}

const grey = () => (prefs.dark ? '#94a2a6' : '#5b686c');

/** What tells a metric of a family from the others: the part in which their names differ. */
export function labelOf(name: string, family: string[]): string {
  let [start, end] = [0, 0];
  while (start < name.length && family.every((m) => m[start] === name[start])) start++;
  while (end < name.length - start && family.every((m) => m[m.length - 1 - end] === name[name.length - 1 - end])) end++;
  // Digits are not cut in two.
  while (start > 0 && /\d/.test(name[start - 1]!) && /\d/.test(name[start] ?? '')) start--;
  return name.slice(start, name.length - end) || name;
}
