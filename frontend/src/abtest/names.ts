// Names of an A/B test's models: what they were made from and what was done to them, in place of the folder of a step's hash.
// experiments/modelname.go names them the same way; both are held to experiments/testdata/modelnames.json.
import type { Step } from '../lib/types.ts';

export interface ModelName {
  base: string;
  done?: string[];
  mark?: string;
}
interface Maker {
  params?: Record<string, string>;
  steps?: Pick<Step, 'name' | 'kind' | 'output'>[];
}
interface Arm {
  model: string;
  kind: string;
}

const hex = /^[0-9a-f]{8,64}$/;
const saysNothing = new Set(['', '.', '..', 'model', 'merged', 'so8t', 'snapshots', 'output', 'final']);
const clean = (p: string | undefined): string => (p ?? '').replaceAll('\\', '/').split('/').filter((s, i) => s !== '.' && (s !== '' || i === 0)).join('/');

function folderName(p: string): string {
  for (const part of clean(p).split('/').reverse()) {
    const hub = /^models--(?:.+--)?(.+)$/.exec(part);
    if (hub) return hub[1]!;
    if (!saysNothing.has(part.toLowerCase()) && !hex.test(part)) return part.split('@')[0]!;
  }
  return '';
}

function folderMark(p: string): string {
  const parts = clean(p).split('/').reverse();
  const hash = parts.find((part) => hex.test(part));
  return hash ? hash.slice(0, 6) : (parts.slice(1).find((part) => !saysNothing.has(part.toLowerCase())) ?? '');
}

function nameOf(run: Maker, arm: Arm): { name: ModelName; step?: Pick<Step, 'name' | 'kind' | 'output'> } {
  const folder = clean(arm.model);
  const base = clean(run.params?.['model.base_model']);
  const name = run.params?.['model.create.shape'] || folderName(base);
  if (name && folder === base) return { name: { base: name, done: ['untouched'] } };
  const step = (run.steps ?? [])
    .filter((s) => clean(s.output) && (folder === clean(s.output) || folder.startsWith(`${clean(s.output)}/`)))
    .sort((a, b) => clean(b.output).length - clean(a.output).length)[0];
  if (!step) return { name: { base: folderName(folder), ...(arm.kind === 'so8t' ? { done: ['so8t'] } : {}) } };
  const tuned = (run.steps ?? []).some((s) => s.kind === 'finetune');
  const done = step.kind === 'finetune' ? ['finetuned'] : step.kind === 'replace' ? [...(tuned ? ['finetuned'] : []), 'so8t'] : ['untouched'];
  return { name: { base: name || step.name || step.kind, done }, step };
}

/** Both arms' names; marks where nothing else tells them apart. */
export function modelNames(run: Maker, arms: [Arm, Arm]): [ModelName, ModelName] {
  const [a, b] = arms.map((arm) => nameOf(run, arm)) as [ReturnType<typeof nameOf>, ReturnType<typeof nameOf>];
  if (a.name.base === b.name.base && String(a.name.done ?? '') === String(b.name.done ?? '')) {
    const [x, y] = [a, b].map(({ step }, i) => (step?.name && step.name !== step.kind ? step.name : folderMark(arms[i]!.model)));
    if (x !== y) {
      if (x) a.name.mark = x;
      if (y) b.name.mark = y;
    }
  }
  return [a.name, b.name];
}
