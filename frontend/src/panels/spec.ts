// What a workspace shows, as data: a view keeps it, the server stores it, a notebook's cell may hold one panel of it.
import { arrange } from '../lib/series.ts';

/** A run as panels need it. Its colour is an index of palette.ts, the same wherever the run is shown. */
export interface RunRef {
  id: string;
  name: string;
  colour: number;
  /** Runs of one group are drawn as their mean with a band, in the colour of the group's first run. */
  group?: string;
  /** Drawn grey and dashed. */
  baseline?: boolean;
  /** What is known of it that its record does not say: a parameter as usual. By column, "param:lr". */
  values?: Record<string, string | number>;
}

export const kinds = ['line', 'scatter', 'bar', 'parallel', 'importance', 'histogram', 'confusion', 'reliability', 'samples', 'files', 'markdown'] as const;
export type PanelKind = (typeof kinds)[number];

/** The x axis of lines: step, Unix time, time since a run's first point, epoch (the run's metric of that name) or
 *  any other metric at the same step. */
export type XKey = 'step' | 'time' | 'relative' | 'epoch' | `metric:${string}`;

export interface PanelSpec {
  /** Of a generated panel, "kind:title"; of one that was added, its own. */
  id: string;
  kind: PanelKind;
  title?: string;
  section?: string;
  /** Names of metrics: the lines of line, the figures of bar, the y of scatter, the target of importance. */
  metrics?: string[];
  /** Of scatter and parallel: keys of values, "param:lr" or "metric:eval/f1". */
  columns?: string[];
  /** Of line, where it differs from the workspace's. */
  x?: XKey;
  smoothing?: number;
  log?: boolean;
  logX?: boolean;
  /** Shows the whole range, diverged runs included. */
  all?: boolean;
  /** Of markdown. */
  text?: string;
  /** Of files: the path or its beginning; of confusion, reliability and samples: the arm. */
  path?: string;
  /** Columns and rows of the grid; one each where left out. */
  w?: number;
  h?: number;
  /** Place in its section; what is generated has 0, 1, 2, …, so that 1.5 stands between the second and the third. */
  order?: number;
  pinned?: boolean;
  hidden?: boolean;
}

/** What a view keeps of its workspace: only the panels that were changed or added, the others are generated. */
export interface WorkspaceView {
  panels: PanelSpec[];
  x?: XKey;
  smoothing?: number;
  log?: boolean;
  /** Titles of sections that are folded. */
  folded?: string[];
}

export const emptyView: WorkspaceView = { panels: [] };

export interface PanelSection {
  title: string;
  panels: PanelSpec[];
}

/** The section of what is pinned, which comes first. */
export const pinnedSection = ' pinned';

const known = new Set<string>(kinds);

/** The panels that a stored list holds; what is none is left out. */
export function readPanels(value: unknown): PanelSpec[] {
  if (!Array.isArray(value)) return [];
  const seen = new Set<string>();
  return value.filter((p): p is PanelSpec => {
    const ok = !!p && typeof p.id === 'string' && known.has(p.kind) && !seen.has(p.id);
    if (ok) seen.add(p.id);
    return ok;
  });
}

const isX = (x: unknown): x is XKey => typeof x === 'string' && /^(step|time|relative|epoch|metric:.+)$/s.test(x);

/** A workspace as the list that a view of runs keeps: its settings, where there are any, then the panels. */
export function readView(list: unknown): WorkspaceView {
  const view: WorkspaceView = { panels: readPanels(list) };
  const said = Array.isArray(list) ? list.find((p) => p?.kind === 'workspace') : undefined;
  if (isX(said?.x)) view.x = said.x;
  if (typeof said?.smoothing === 'number' && said.smoothing > 0 && said.smoothing < 1) view.smoothing = said.smoothing;
  if (said?.log === true) view.log = true;
  if (Array.isArray(said?.folded)) view.folded = said.folded.filter((f: unknown) => typeof f === 'string');
  return view;
}

export function writeView({ panels, x, smoothing, log, folded }: WorkspaceView): unknown[] {
  const settings = { ...(x && x !== 'step' ? { x } : {}), ...(smoothing ? { smoothing } : {}), ...(log ? { log } : {}), ...(folded?.length ? { folded } : {}) };
  return [...(Object.keys(settings).length ? [{ kind: 'workspace', ...settings }] : []), ...panels];
}

/** A panel for each metric or family of metrics that differ in a number, in sections by prefix, with what the view
 *  says of each and the panels that it adds. Pinned ones stand in a section of their own, before the others. */
export function sections(metrics: string[], view: WorkspaceView, withHidden = false): PanelSection[] {
  const said = new Map(view.panels.map((p) => [p.id, p]));
  const out = new Map<string, { panel: PanelSpec; order: number }[]>();
  const put = (title: string, panel: PanelSpec, order: number) => {
    if (panel.hidden && !withHidden) return;
    const at = panel.pinned ? pinnedSection : title;
    const list = out.get(at) ?? [];
    out.set(at, list);
    list.push({ panel, order: panel.order ?? order });
  };
  for (const s of arrange(metrics, 'prefix')) {
    s.cards.forEach((c, i) => {
      const id = `line:${c.title}`;
      const own = said.get(id);
      said.delete(id);
      const panel: PanelSpec = { id, kind: 'line', title: c.title, section: s.title, metrics: c.metrics.map((m) => m.metric) };
      put(own?.section ?? s.title, own ? { ...panel, ...own, metrics: own.metrics ?? panel.metrics! } : panel, i);
    });
  }
  // A generated panel whose metrics no run here has stays in the view, unseen, until some run has them.
  for (const p of said.values()) if (!p.id.startsWith('line:')) put(p.section ?? '', p, 1e6);
  const pinned = out.get(pinnedSection);
  out.delete(pinnedSection);
  return [...(pinned ? [[pinnedSection, pinned] as const] : []), ...out].map(([title, list]) => ({
    title,
    panels: list.sort((a, b) => a.order - b.order).map((x) => x.panel),
  }));
}

/** The view with a panel changed; what says nothing any more is dropped from it. */
export function changed(view: WorkspaceView, panel: PanelSpec, change: Partial<PanelSpec>): WorkspaceView {
  const before = view.panels.find((p) => p.id === panel.id);
  const generated = panel.id.startsWith('line:');
  const next: PanelSpec = { ...(before ?? (generated ? { id: panel.id, kind: panel.kind } : panel)), ...change };
  for (const k of Object.keys(next) as (keyof PanelSpec)[]) if (next[k] === undefined) delete next[k];
  const rest = view.panels.filter((p) => p.id !== panel.id);
  return { ...view, panels: Object.keys(next).length > 2 || !generated ? [...rest, next] : rest };
}

/** The view with a panel moved into a section, to stand before another of it, or last. */
export function moved(view: WorkspaceView, into: PanelSection, panel: PanelSpec, before: PanelSpec | undefined): WorkspaceView {
  if (panel.id === before?.id) return view;
  const others = into.panels.filter((p) => p.id !== panel.id);
  const at = before ? others.findIndex((p) => p.id === before.id) : -1;
  others.splice(at < 0 ? others.length : at, 0, panel);
  let next = view;
  if (!into.panels.some((p) => p.id === panel.id)) {
    next = changed(next, panel, into.title === pinnedSection ? { pinned: true } : { section: into.title, pinned: undefined });
  }
  // Places are counted anew, so that they never run out of digits.
  others.forEach((p, i) => {
    if (p.order !== i) next = changed(next, p, { order: i });
  });
  return next;
}
