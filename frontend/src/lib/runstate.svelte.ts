// One run as the page shows it: loaded once, then kept up to date from the event stream.
import { api } from './api.ts';
import { eachLimited } from './load.ts';
import { title, whole } from './runs.ts';
import { append, downsample, type P } from './series.ts';
import type { ServerEvent } from './sse.ts';
import type {
  Artifact, DatasetSummary, Experiment, MetricBatch, Progress, Run,
} from './types.ts';

const loadPoints = 2000;
const keepPoints = 8000;

export class RunState {
  readonly id: string;
  run = $state.raw<Run>();
  experiment = $state.raw<Experiment>();
  /** Number of points and last value of each series. */
  metrics = $state.raw<Record<string, { count: number; last: number | null }>>({});
  series = $state.raw<Record<string, P[]>>({});
  artifacts = $state.raw<Artifact[]>();
  data = $state.raw<DatasetSummary>();
  replacement = $state.raw<Record<string, unknown>>();
  error = $state.raw<unknown>();

  #wanted = new Set<string>();
  #live = new Map<string, P[]>(); // points that came before their series was loaded
  #queue: string[] = [];
  #loading = false;
  #artifactTimer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(id: string) {
    this.id = id;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#artifactTimer);
  }

  /** Loads everything; also called again when the stream could not be resumed. */
  async load(): Promise<void> {
    try {
      const [run, metrics] = await Promise.all([api.run(this.id), api.metrics(this.id)]);
      this.run = run;
      this.error = undefined;
      const known: typeof this.metrics = {};
      for (const m of metrics.items ?? []) known[m.name] = { count: m.count, last: m.last?.value ?? null };
      for (const [name, points] of this.#live) {
        known[name] ??= { count: points.length, last: points[points.length - 1]?.[2] ?? null };
      }
      this.metrics = known;
      const again = [...this.#wanted];
      this.#wanted.clear();
      this.want(again);
      const [experiment] = await Promise.all([api.experiment(run.experiment_id), this.#loadArtifacts()]);
      this.experiment = experiment;
    } catch (err) {
      this.error = err;
    }
  }

  /** Has the named series loaded, those that are not yet. */
  want(names: string[]): void {
    const fresh = names.filter((n) => !this.#wanted.has(n));
    if (!fresh.length) return;
    for (const n of fresh) this.#wanted.add(n);
    this.#queue.push(...fresh);
    if (!this.#loading) void this.#drain();
  }

  async #drain(): Promise<void> {
    this.#loading = true;
    try {
      while (this.#queue.length && !this.#closed) {
        const got: Record<string, P[]> = {};
        await eachLimited(this.#queue.splice(0, 8), 4, async (name) => {
          const s = await api.series(this.id, name, loadPoints);
          got[name] = s.points;
        });
        const next = { ...this.series };
        for (const name in got) {
          next[name] = append(got[name]!, this.#live.get(name) ?? []);
          this.#live.delete(name);
        }
        this.series = next;
      }
    } catch (err) {
      this.error = err;
      this.#wanted.clear(); // so that trying again asks for them again
      this.#queue = [];
    } finally {
      this.#loading = false;
    }
  }

  take(events: ServerEvent[]): void {
    let series: Record<string, P[]> | undefined;
    const fresh = new Map<string, P[]>();
    for (const e of events) {
      if (e.type === 'run') this.#takeRun(e.data as Run);
      else if (e.type === 'restart') {
        for (const name of e.data as string[]) {
          fresh.delete(name);
          this.#restart(name);
        }
      } else if (e.type === 'progress') this.#takeProgress(e.data as { step: string; progress: Progress });
      else if (e.type === 'metrics') {
        for (const [name, points] of Object.entries(e.data as MetricBatch)) {
          const list = fresh.get(name) ?? [];
          for (const p of points) list.push([p.step, p.time, p.value]);
          fresh.set(name, list);
        }
      }
    }
    for (const [name, points] of fresh) {
      const have = this.series[name];
      if (have) {
        series ??= { ...this.series };
        const all = append(have, points);
        series[name] = all.length > keepPoints ? downsample(all, keepPoints / 2) : all;
      } else {
        const kept = [...(this.#live.get(name) ?? []), ...points];
        this.#live.set(name, kept.length > keepPoints ? downsample(kept, keepPoints / 2) : kept);
      }
    }
    if (series) this.series = series;
    if (!fresh.size) return;
    const metrics = { ...this.metrics };
    for (const [name, points] of fresh) {
      metrics[name] = { count: (metrics[name]?.count ?? 0) + points.length, last: points[points.length - 1]![2] };
    }
    this.metrics = metrics;
  }

  /** Forgets a series that begins anew. */
  #restart(name: string): void {
    this.#live.delete(name);
    if (this.series[name]) this.series = { ...this.series, [name]: [] };
    const { [name]: _, ...others } = this.metrics;
    this.metrics = others;
  }

  #takeRun(run: Run): void {
    if (run.id !== this.id) return;
    run = whole(run, this.run);
    const before = new Map(this.run?.steps?.map((s) => [title(s), s.progress]));
    for (const s of run.steps ?? []) if (s.status === 'running') s.progress ??= before.get(title(s));
    this.run = run;
    clearTimeout(this.#artifactTimer);
    this.#artifactTimer = setTimeout(() => {
      this.#loadArtifacts().catch((err) => (this.error = err));
    }, 500);
  }

  #takeProgress(p: { step: string; progress: Progress }): void {
    if (!this.run?.steps) return;
    this.run = {
      ...this.run,
      steps: this.run.steps.map((s) => (title(s) === p.step ? { ...s, progress: p.progress } : s)),
    };
  }

  async #loadArtifacts(): Promise<void> {
    const before = new Map(this.artifacts?.map((a) => [a.path, a.sha256]));
    this.artifacts = (await api.artifacts(this.id)).items ?? [];
    const sha = (path: string) => this.artifacts!.find((a) => a.path === path)?.sha256;
    const changed = (path: string) => sha(path) !== undefined && sha(path) !== before.get(path);
    if (changed('convert/summary.json')) this.data = await api.data(this.id);
    if (changed('replace/replacement.json')) this.replacement = await api.replacement(this.id);
  }

  get hasAB(): boolean {
    return this.artifacts?.some((a) => a.path === 'abtest/results.json') ?? false;
  }
}
