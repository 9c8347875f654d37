// What a report is made of, as the server has it (experiments/reportdoc.go).

/** Sections of a run's own report, in its order. */
export const sections = [
  'verdict', 'models', 'decision', 'groups', 'trained', 'comparison', 'classes', 'confusion', 'latency', 'modules', 'disagreements',
  'configuration', 'data', 'training', 'so8t', 'environment',
] as const;
export type Section = (typeof sections)[number];

/** Those that say something of a run without an A/B test. */
export const ofAnyRun: readonly Section[] = ['trained', 'configuration', 'data', 'training', 'so8t', 'environment'];
/** Those that a reviewer wants first. */
export const first: readonly Section[] = ['verdict', 'models', 'decision', 'groups', 'trained'];

export const kinds = ['prose', ...sections, 'runs', 'curves', 'paired', 'appendix'] as const;
export type Kind = (typeof kinds)[number];

export interface Block {
  kind: Kind;
  /** Of prose: Markdown. */
  text?: string;
  /** In place of the section's own. */
  title?: string;
  /** Of a section. */
  run?: string;
  /** Of runs and curves; of paired, two. */
  runs?: string[];
  /** Of paired: "A" or "B" of each run's A/B test. */
  arms?: string[];
  /** Of runs and curves. */
  metrics?: string[];
}

export const isSection = (kind: Kind): kind is Section => (sections as readonly string[]).includes(kind);

/** As the server bounds them. */
export const mostRuns = 50;
export const mostCurves = 10;
export const mostMetrics = 8;
export const mostProse = 64 << 10; // bytes

/** Every run that the blocks name, each once. */
export const runsOf = (blocks: Block[]): string[] => [...new Set(blocks.flatMap((b) => [...(b.run ? [b.run] : []), ...(b.runs ?? [])]))];

/** The place of a block's section in the file, "part-3"; what begins the appendix has none. */
export function partOf(blocks: Block[], at: number): string {
  const before = blocks.slice(0, at + 1).filter((b) => b.kind !== 'appendix').length;
  return blocks[at] && before ? `part-${before}` : '';
}

/** The list with the entry at one place moved to another. */
export function moved<T>(list: T[], from: number, to: number): T[] {
  const at = Math.max(0, Math.min(to, list.length - 1));
  if (from < 0 || from >= list.length || at === from) return list;
  const rest = list.toSpliced(from, 1);
  return rest.toSpliced(at, 0, list[from]!);
}

/** A block as a text, whichever way it is written: the server leaves out what is empty. */
export const same = (b: Block): string =>
  JSON.stringify([b.kind, b.text ?? '', b.title ?? '', b.run ?? '', b.runs ?? [], b.arms ?? [], b.metrics ?? []]);
