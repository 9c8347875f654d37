// What a queued run waits for changes with the other runs, which its own stream does not tell of.
import { api } from '../lib/api.ts';
import type { Reason } from '../lib/types.ts';

const every = 3000;

/** Asks while queued gives a run's id; for a component's script. */
export function waitsOf(queued: () => string | undefined): { readonly now: Reason | undefined } {
  let waits = $state.raw<Reason>();
  $effect(() => {
    const id = queued();
    if (!id) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let stopped = false;
    const ask = async () => {
      try {
        const now = await api.run(id);
        if (!stopped) waits = now.job?.waits;
      } catch {
        if (!stopped) waits = undefined; // the banner tells of a lost server
      }
      if (!stopped) timer = setTimeout(ask, every);
    };
    void ask();
    return () => {
      stopped = true;
      clearTimeout(timer);
      waits = undefined;
    };
  });
  return {
    get now() {
      return waits;
    },
  };
}
