// Which files of a run a panel can show, by step.
import type { Artifact } from '../lib/types.ts';

export interface Shown {
  path: string;
  kind: 'image' | 'text';
}

const images = /^image\/(png|jpe?g|gif|webp|avif|bmp)$/;
const texts = /^text\/|^application\/(json|x-ndjson|yaml|x-yaml)$/;

/** Files under a path that can be shown, by the step in their names: the number after "step", "epoch" or "iter", else the
 *  last number of the name; a file without one has step 0. HTML and SVG are not shown: they may hold scripts. */
export function byStep(files: Artifact[], path: string): Map<number, Shown[]> {
  const out = new Map<number, Shown[]>();
  for (const f of files) {
    if (!f.path.startsWith(path)) continue;
    const type = f.media_type.split(';')[0]!.trim();
    const kind = images.test(type) ? 'image' : texts.test(type) && type !== 'text/html' ? 'text' : undefined;
    if (!kind) continue;
    const name = f.path.replace(/\.\w+$/, '');
    const said = /(?:step|epoch|iter)\w*?[-_=/]?(\d+)/i.exec(name)?.[1] ?? /(\d+)(?!.*\d)/.exec(name.slice(name.lastIndexOf('/') + 1))?.[1];
    const step = Number(said ?? 0);
    out.set(step, [...(out.get(step) ?? []), { path: f.path, kind }]);
  }
  return out;
}
