// Much work in short tasks, so that the page answers and draws meanwhile.
import { tick } from 'svelte';

const longest = 8; // ms of a task before the browser has its turn

const queue: (() => void)[] = [];
let running = false;

/** The browser's turn: input and frames, then this goes on. */
export const pause = (): Promise<void> => {
  const scheduler = (globalThis as { scheduler?: { yield?: () => Promise<void> } }).scheduler;
  return scheduler?.yield?.() ?? new Promise((resolve) => setTimeout(resolve));
};

/** Does the work after what waits already, together with what the page makes of it, and lets the browser have its turn
 *  where that took long. Gives what takes the work back. */
export function inTurn(work: () => void): () => void {
  queue.push(work);
  if (!running) void run();
  return () => {
    const at = queue.indexOf(work);
    if (at >= 0) queue.splice(at, 1);
  };
}

async function run(): Promise<void> {
  running = true;
  let from = performance.now();
  for (let work = queue.shift(); work; work = queue.shift()) {
    try {
      work();
      await tick();
    } catch (err) {
      reportError(err); // what waits is done all the same
    }
    if (performance.now() - from < longest) continue;
    await pause();
    from = performance.now();
  }
  running = false;
}
