// One run as the page shows it: loaded once, then kept up to date from the event stream.
import { api } from './api.ts';
import { title, whole } from './runs.ts';
import type { ServerEvent } from './sse.ts';
import type {
  ABResult, Artifact, DatasetSummary, Experiment, MetricBatch, Progress, Run,
} from './types.ts';

export class RunState {
  readonly id: string;
  run = $state.raw<Run>();
  experiment = $state.raw<Experiment>();
  /** Number of points and last value of each series. */
  metrics = $state.raw<Record<string, { count: number; last: number | null }>>({});
  artifacts = $state.raw<Artifact[]>();
  data = $state.raw<DatasetSummary>();
  replacement = $state.raw<Record<string, unknown>>();
  ab = $state.raw<ABResult>();
  error = $state.raw<unknown>();

  #artifactTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(id: string) {
    this.id = id;
  }

  close(): void {
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
      this.metrics = known;
      const [experiment] = await Promise.all([api.experiment(run.experiment_id), this.#loadArtifacts()]);
      this.experiment = experiment;
    } catch (err) {
      this.error = err;
    }
  }

  take(events: ServerEvent[]): void {
    const fresh = new Map<string, { points: number; last: number | null }>();
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
          fresh.set(name, { points: (fresh.get(name)?.points ?? 0) + points.length, last: points[points.length - 1]!.value });
        }
      }
    }
    if (!fresh.size) return;
    const metrics = { ...this.metrics };
    for (const [name, { points, last }] of fresh) metrics[name] = { count: (metrics[name]?.count ?? 0) + points, last };
    this.metrics = metrics;
  }

  /** Forgets a series that begins anew. */
  #restart(name: string): void {
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
    if (changed('abtest/results.json')) this.ab = await api.abtest(this.id);
    if (changed('replace/replacement.json')) this.replacement = await api.replacement(this.id);
  }

  get hasAB(): boolean {
    return this.artifacts?.some((a) => a.path === 'abtest/results.json') ?? false;
  }
}
