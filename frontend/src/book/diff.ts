// Lines that went and came between two texts.
import { diffLines } from 'diff';

export interface Line {
  kind: 'same' | 'gone' | 'new';
  text: string;
}

/** The lines that changed with some around them; undefined stands where lines are left out. */
export function context(before: string, after: string, around = 2): (Line | undefined)[] {
  const lines = diffLines(before, after).flatMap((c): Line[] =>
    c.value.replace(/\n$/, '').split('\n').map((text) => ({ kind: c.added ? 'new' : c.removed ? 'gone' : 'same', text })),
  );
  const near = lines.map((_, i) => lines.slice(Math.max(0, i - around), i + around + 1).some((l) => l.kind !== 'same'));
  const out: (Line | undefined)[] = [];
  lines.forEach((l, i) => {
    if (near[i]) out.push(l);
    else if (out.length && out.at(-1) !== undefined) out.push(undefined);
  });
  return out;
}
