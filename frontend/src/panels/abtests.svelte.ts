// A/B results of runs, for the panels that show them: the first few runs that have one.
import { api, ApiError } from '../lib/api.ts';
import type { ABResult } from '../lib/types.ts';
import type { RunRef } from './spec.ts';

const asked = new Map<string, Promise<ABResult | undefined>>();
const most = 4;

const resultOf = (id: string): Promise<ABResult | undefined> => {
  let p = asked.get(id);
  if (!p) {
    p = api.abtest(id).catch((err: unknown) => {
      asked.delete(id);
      if (err instanceof ApiError && err.status === 404) return undefined;
      throw err;
    });
    asked.set(id, p);
  }
  return p;
};

export class ABTests {
  found = $state.raw<{ run: RunRef; result: ABResult }[]>();
  error = $state.raw<unknown>();
  #round = 0;

  async load(runs: RunRef[]): Promise<void> {
    const round = ++this.#round;
    try {
      const out: { run: RunRef; result: ABResult }[] = [];
      for (const run of runs.slice(0, 20)) {
        const result = await resultOf(run.id);
        if (round !== this.#round) return;
        if (result) out.push({ run, result });
        if (out.length >= most) break;
      }
      this.found = out;
      this.error = undefined;
    } catch (err) {
      if (round === this.#round) this.error = err;
    }
  }
}
