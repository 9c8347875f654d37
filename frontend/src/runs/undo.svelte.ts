// The change made last, while it is offered to be undone.
import { api, ApiError } from '../lib/api.ts';
import { t } from '../lib/i18n.ts';
import type { Change } from './actions.ts';

const offered = 20_000; // ms; the command line undoes later ones

class Undo {
  /** What was done, in words; empty: nothing is offered. */
  text = $state('');
  token = $state('');
  /** What cannot be undone any more is left when the rest is. */
  conflicts = $state(0);
  error = $state.raw<unknown>();
  busy = $state(false);
  /** What undoes it, where that is no token of the server's. */
  act = $state.raw<() => unknown>();
  #after: () => void = () => {};
  #timer: ReturnType<typeof setTimeout> | undefined;

  offer(text: string, token: string, after: () => void): void {
    this.text = text;
    this.token = token;
    this.conflicts = 0;
    this.error = undefined;
    this.act = undefined;
    this.#after = after;
    this.hold();
    this.release();
  }

  offerAct(text: string, act: () => unknown): void {
    this.offer(text, '', () => {});
    this.act = act;
  }

  offerChange(c: Change, after: () => void): void {
    const text = t(`runs.did.${c.action}`, { count: c.changed });
    const left = c.skipped ? ` ${t('runs.didSkip', { count: c.skipped, reason: c.problems?.[0]?.reason ?? '' })}` : '';
    this.offer(text + left, c.changed ? c.token : '', after);
  }

  /** It stays while the pointer or the keyboard is on it. */
  hold(): void {
    clearTimeout(this.#timer);
  }

  release(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.close(), offered);
  }

  close(): void {
    this.hold();
    this.text = '';
  }

  async run(): Promise<void> {
    this.busy = true;
    this.error = undefined;
    try {
      if (this.act) {
        await this.act();
        this.close();
        return;
      }
      const c = await api.undo(this.token, this.conflicts > 0);
      this.offer(t('runs.undone', { count: c.restored }), '', this.#after);
      this.#after();
    } catch (err) {
      if (err instanceof ApiError && err.code === 'conflict' && typeof err.details.count === 'number') this.conflicts = err.details.count;
      else this.error = err;
      this.hold();
    } finally {
      this.busy = false;
    }
  }
}

export const undo = new Undo();
