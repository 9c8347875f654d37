// The series that panels show: loaded once for all panels of a page, kept up to date from the page's event stream.
import { api } from '../lib/api.ts';
import { eachLimited } from '../lib/load.ts';
import { taps, type ServerEvent } from '../lib/sse.ts';
import { inTurn } from '../lib/turns.ts';
import type { MetricBatch } from '../lib/types.ts';
import { add, fromAnswer, thin, type Series, type SeriesAnswer } from './series.ts';

/** Points of each run that a panel first loads; zooming in loads the range anew. */
export const firstPoints = 600;
export const zoomPoints = 3000;
const runsAtOnce = 25; // in one question, so that the first lines show early
const seriesAtOnce = 60; // of all the metrics of a question, so that the first panels do
const questionsAtOnce = 4; // of the six connections that a browser has to a server
const keptSeries = 6000;

type Listener = () => void;

class SeriesStore {
  #series = new Map<string, Map<string, Series | null>>(); // metric → run → points; null: the run has none
  #listeners = new Map<string, Set<Listener>>();
  #dirty = new Set<string>();
  #frame = 0;
  #asked: { metric: string; runs: string[] }[] = [];
  #asking: ReturnType<typeof setTimeout> | undefined;
  #queue: { metrics: string[]; runs: string[] }[] = [];
  #lanes = 0;
  #errors = new Map<string, unknown>();

  constructor() {
    taps.add({ onEvents: (e) => this.take(e), onReset: () => this.forget() });
  }

  get(metric: string, run: string): Series | null | undefined {
    return this.#series.get(metric)?.get(run);
  }

  /** What went wrong the last time that the metric was asked for. */
  error(metric: string): unknown {
    return this.#errors.get(metric);
  }

  /** Has the runs' series of a metric loaded, those that are not yet, and tells when they or live points come, at most
   *  once a frame. */
  listen(metric: string, fn: Listener): () => void {
    const set = this.#listeners.get(metric) ?? new Set();
    this.#listeners.set(metric, set);
    set.add(fn);
    return () => {
      set.delete(fn);
      if (!set.size) this.#listeners.delete(metric);
      this.#evict();
    };
  }

  want(metric: string, runs: string[]): void {
    const have = this.#of(metric);
    const missing = runs.filter((r) => !have.has(r));
    if (!missing.length) return;
    this.#errors.delete(metric);
    for (const r of missing) have.set(r, { steps: [], times: [], values: [], total: -1 }); // asked for
    this.#asked.push({ metric, runs: missing });
    this.#asking ??= setTimeout(() => this.#ask()); // panels that come into view together ask together
  }

  #ask(): void {
    this.#asking = undefined;
    for (const q of questions(this.#asked)) this.#queue.push(q);
    this.#asked = [];
    while (this.#lanes < questionsAtOnce && this.#queue.length) void this.#drain();
  }

  async #drain(): Promise<void> {
    this.#lanes++;
    for (let q = this.#queue.shift(); q; q = this.#queue.shift()) {
      const { metrics, runs } = q;
      const have = new Map(metrics.map((m) => [m, this.#of(m)])); // what was forgotten meanwhile takes no old answer
      try {
        const points = runs.length > 12 ? firstPoints / 2 : firstPoints;
        const { items } = await api.manySeries({ names: metrics, runs, max_points: points });
        const got = new Map(items.map((a) => [`${a.run}\n${a.name}`, a]));
        for (const m of metrics) {
          for (const r of runs) keep(have.get(m)!, r, got.get(`${r}\n${m}`));
          this.#tell(m);
        }
      } catch (err) {
        for (const m of metrics) {
          this.#errors.set(m, err);
          for (const r of runs) have.get(m)!.delete(r); // so that trying again asks for them again
          this.#tell(m);
        }
      }
    }
    this.#lanes--;
  }

  /** The runs' points of a range of steps, finer than those kept; not kept themselves. */
  async finer(metric: string, runs: string[], from: number, to: number, signal: AbortSignal): Promise<Map<string, Series>> {
    const out = new Map<string, Series>();
    const parts: string[][] = [];
    for (let i = 0; i < runs.length; i += runsAtOnce) parts.push(runs.slice(i, i + runsAtOnce));
    await eachLimited(parts, questionsAtOnce, async (part) => {
      const got = await api.manySeries({ names: [metric], runs: part, max_points: zoomPoints, from: Math.floor(from), to: Math.ceil(to) });
      for (const a of got.items) out.set(a.run, fromAnswer(a));
    }, signal);
    return out;
  }

  /** Takes live points; a series that begins anew is asked for again. */
  take(events: ServerEvent[]): void {
    for (const e of events) {
      if (!e.run) continue;
      if (e.type === 'restart') for (const metric of e.data as string[]) this.#drop(metric, e.run);
      else if (e.type === 'metrics') {
        for (const [metric, points] of Object.entries(e.data as MetricBatch)) this.#append(metric, e.run, points);
      }
    }
  }

  #append(metric: string, run: string, points: { step: number; time: number; value: number | null }[]): void {
    const runs = this.#series.get(metric);
    const s = runs?.get(run);
    if (!runs || s === undefined) return; // nobody asked for it
    const to = s ?? { steps: [], times: [], values: [], total: 0 };
    let changed = false;
    for (const p of points) changed = add(to, p.step, p.time, p.value ?? NaN) || changed;
    if (!changed) return;
    runs.set(run, to.steps.length > 8 * firstPoints ? thin(to, 4 * firstPoints) : to);
    this.#tell(metric);
  }

  #drop(metric: string, run: string): void {
    if (this.#series.get(metric)?.delete(run)) this.#tell(metric);
  }

  /** Has everything asked for again, when events were missed. */
  forget(): void {
    const metrics = [...this.#series.keys()];
    this.#series.clear();
    for (const m of metrics) this.#tell(m);
  }

  #of(metric: string): Map<string, Series | null> {
    let runs = this.#series.get(metric);
    if (!runs) this.#series.set(metric, (runs = new Map()));
    return runs;
  }

  #tell(metric: string): void {
    this.#dirty.add(metric);
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      const fns = new Set([...this.#dirty].flatMap((m) => [...(this.#listeners.get(m) ?? [])]));
      this.#dirty.clear();
      for (const fn of fns) inTurn(fn);
    });
  }

  #evict(): void {
    let count = 0;
    for (const runs of this.#series.values()) count += runs.size;
    for (const [metric, runs] of this.#series) {
      if (count <= keptSeries) return;
      if (this.#listeners.has(metric)) continue;
      this.#series.delete(metric);
      count -= runs.size;
    }
  }
}

/** Takes in a run's answer; undefined: it has no such series. */
function keep(have: Map<string, Series | null>, run: string, a: SeriesAnswer | undefined): void {
  const live = have.get(run); // points that came meanwhile
  let s = a ? fromAnswer(a) : null;
  if (live?.steps.length) {
    const to = (s ??= { steps: [], times: [], values: [], total: 0 });
    live.steps.forEach((step, i) => add(to, step, live.times[i]!, live.values[i]!));
  }
  have.set(run, s);
}

/** What panels want as questions: metrics of the same runs go together. */
export function questions(wants: { metric: string; runs: string[] }[]): { metrics: string[]; runs: string[] }[] {
  const alike = new Map<string, { metrics: string[]; runs: string[] }>();
  for (const { metric, runs } of wants) {
    const key = runs.join('\n');
    const to = alike.get(key) ?? { metrics: [], runs };
    alike.set(key, to);
    to.metrics.push(metric);
  }
  const out: { metrics: string[]; runs: string[] }[] = [];
  for (const { metrics, runs } of alike.values()) {
    const most = Math.max(1, Math.floor(seriesAtOnce / Math.min(runsAtOnce, runs.length)));
    for (let m = 0; m < metrics.length; m += most) {
      for (let r = 0; r < runs.length; r += runsAtOnce) out.push({ metrics: metrics.slice(m, m + most), runs: runs.slice(r, r + runsAtOnce) });
    }
  }
  return out;
}

export const seriesStore = new SeriesStore();

/** Whether a series was asked for and has not come yet. */
export const loading = (s: Series | null | undefined): boolean => s?.total === -1;
