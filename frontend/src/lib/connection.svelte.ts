// Whether the server answers. Requests and event streams report here; while it does not answer, it is
// asked every few seconds, and pages that failed load again when it is back.
import { reach } from './api.ts';
import type { StreamState } from './sse.ts';

class Connection {
  lost = $state(false);
  /** Grows each time the server is back after it was lost. */
  returns = $state(0);
  #timer: ReturnType<typeof setTimeout> | undefined;

  report(reached: boolean): void {
    if (reached) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      if (this.lost) {
        this.lost = false;
        this.returns++;
      }
      return;
    }
    if (this.#timer === undefined) this.#ask(500);
  }

  stream(state: StreamState): void {
    if (state !== 'connecting') this.report(state === 'open');
  }

  // A stream that drops for a moment is no loss: the banner shows once the server itself is silent.
  #ask(wait: number): void {
    this.#timer = setTimeout(async () => {
      try {
        const res = await fetch('/healthz', { cache: 'no-store' });
        if (res.ok) return this.report(true);
      } catch {
        // still away
      }
      this.lost = true;
      this.#ask(Math.min(wait * 2, 5000));
    }, wait);
  }
}

export const connection = new Connection();
reach.report = (reached) => connection.report(reached);
