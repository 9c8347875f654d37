// The queue as its page shows it: loaded, and loaded again when an event tells of one of its runs.
import { api } from './api.ts';
import type { ServerEvent } from './sse.ts';
import type { Progress, Run } from './types.ts';

const endedShown = 10;

export class QueueState {
  running = $state.raw<Run[]>();
  waiting = $state.raw<Run[]>([]);
  ended = $state.raw<Run[]>([]);
  /** Of the step under way, by run. */
  progress = $state.raw<Record<string, Progress>>({});
  /** Names by experiment. */
  experiments = $state.raw<Record<string, string>>({});
  error = $state.raw<unknown>();
  #asked = 0;

  async load(): Promise<void> {
    const asked = ++this.#asked;
    try {
      const [queue, ...ended] = await Promise.all([
        api.queue(),
        ...(['failed', 'interrupted', 'finished'] as const).map((status) => api.runs({ status, limit: 50 })),
      ]);
      if (asked !== this.#asked) return; // a later one is under way
      const items = queue.items ?? [];
      this.running = items.filter((r) => r.status !== 'queued');
      this.waiting = items.filter((r) => r.status === 'queued');
      const listed = new Set(items.map((r) => r.id));
      this.ended = ended
        .flatMap((l) => l.items ?? [])
        .filter((r) => r.job && !listed.has(r.id))
        .sort((a, b) => (b.ended_at ?? '').localeCompare(a.ended_at ?? ''))
        .slice(0, endedShown);
      this.error = undefined;
      await this.#name([...items, ...this.ended]);
    } catch (err) {
      if (asked === this.#asked) this.error = err;
    }
  }

  async #name(runs: Run[]): Promise<void> {
    const unknown = new Set(runs.map((r) => r.experiment_id).filter((e) => !(e in this.experiments)));
    if (!unknown.size) return;
    const got = await Promise.all([...unknown].map((e) => api.experiment(e)));
    this.experiments = { ...this.experiments, ...Object.fromEntries(got.map((e) => [e.id, e.name])) };
  }

  take(events: ServerEvent[]): void {
    let again = false;
    const progress = { ...this.progress };
    for (const e of events) {
      if (e.type === 'run') {
        const run = e.data as Run;
        again ||= !!run.job;
        delete progress[run.id]; // its step may be another
      } else if (e.type === 'progress') {
        const p = e.data as { run_id: string; progress: Progress };
        progress[p.run_id] = p.progress;
      }
    }
    this.progress = progress;
    if (again) void this.load();
  }
}
