// What is told before a run is started again: which lines changed, what is taken over, how long the rest takes.
import type { PlannedStep } from '../lib/types.ts';

/** How much of a plan is taken over, and the seconds of the rest; whole: each step of the rest is known. */
export function estimate(steps: PlannedStep[]): { taken: number; count: number; seconds: number; whole: boolean } {
  const rest = steps.filter((s) => !s.taken_over);
  return {
    taken: steps.length - rest.length,
    count: steps.length,
    seconds: rest.reduce((n, s) => n + (s.seconds ?? 0), 0),
    whole: rest.every((s) => s.seconds),
  };
}

export interface Change {
  was?: string;
  now?: string;
}

/** Lines that differ, those that stand in each other's place together; space at the ends aside. */
export function changedLines(before: string, after: string): Change[] {
  const a = before.split('\n');
  const b = after.split('\n');
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
  const was = a.slice(head, a.length - tail);
  const now = b.slice(head, b.length - tail);
  // The longest common lines between, by the usual table; the middle is short, or else it is told whole.
  if (was.length * now.length > 4_000_000) return [{ was: was.join('\n'), now: now.join('\n') }];
  const lengths = Array.from({ length: was.length + 1 }, () => new Uint32Array(now.length + 1));
  for (let i = was.length - 1; i >= 0; i--) {
    for (let j = now.length - 1; j >= 0; j--) {
      lengths[i]![j] = was[i] === now[j] ? lengths[i + 1]![j + 1]! + 1 : Math.max(lengths[i + 1]![j]!, lengths[i]![j + 1]!);
    }
  }
  const out: Change[] = [];
  let [gone, come]: [string[], string[]] = [[], []];
  const flush = () => {
    for (let k = 0; k < Math.max(gone.length, come.length); k++) {
      const [x, y] = [gone[k]?.trim(), come[k]?.trim()];
      if (x || y) out.push({ ...(x ? { was: x } : {}), ...(y ? { now: y } : {}) });
    }
    [gone, come] = [[], []];
  };
  for (let i = 0, j = 0; i < was.length || j < now.length; ) {
    if (i < was.length && j < now.length && was[i] === now[j]) {
      flush();
      i++;
      j++;
    } else if (j >= now.length || (i < was.length && lengths[i + 1]![j]! >= lengths[i]![j + 1]!)) gone.push(was[i++]!);
    else come.push(now[j++]!);
  }
  flush();
  return out;
}
