// The runs of a table: one search, or one a group, found and ordered by the server, and found again when they change.
import { SvelteMap } from 'svelte/reactivity';
import { api, ApiError } from '../lib/api.ts';
import { Branch } from './branch.svelte.ts';
import { both, equals, orderBy, searchKey, type Cell, type Facets, type Group, type Note, type Row, type Scope } from './search.ts';
import type { ColumnKey, Order } from './view.ts';
import { RunWindow, windowRows } from './window.svelte.ts';

export interface Asked {
  filter: string;
  order: Order[];
  /** Everything a row is to have. */
  keys: ColumnKey[];
  group?: ColumnKey;
  archived: Scope['archived'];
}

/** The runs under one heading; without groups there is one, without a heading. */
export interface Section {
  /** Empty without groups. */
  id: string;
  group?: Group;
  value?: Cell;
  index: number;
  rows: RunWindow;
  /** The rows with the open parts of runs below them. */
  tree: Branch;
}

export type Line = { kind: 'group'; section: Section } | { kind: 'run'; section: Section; branch: Branch; row: Row | undefined };

/** Grouped by this, runs stand below those that they are parts of. */
export const byParent: ColumnKey = 'attribute:parent';

const openAtFirst = 12; // groups; more of them begin closed

export class RunList {
  facets = $state.raw<Facets>();
  sections = $state.raw<Section[]>([]);
  /** What has been asked, once its first rows are here. */
  shown = $state.raw<Asked>();
  groups = $state(0);
  matched = $state(0);
  notes = $state.raw<Note[]>([]);
  /** What is wrong with the filter, said beside it; the table stays as it was. */
  wrong = $state.raw<ApiError>();
  error = $state.raw<unknown>();
  busy = $state(false);
  /** Groups that were opened (true) or closed by hand. */
  readonly opened = new SvelteMap<string, boolean>();
  readonly experiments: string[];
  #asked: Asked | undefined;
  #turn = 0;

  constructor(experiments: string[]) {
    this.experiments = experiments;
  }

  /** The line at which each section begins, and the number of all lines. */
  readonly #starts = $derived.by(() => {
    let at = 0;
    return [...this.sections.map((s) => (at += this.#height(s)) - this.#height(s)), at];
  });
  readonly lines = $derived(this.#starts.at(-1)!);
  readonly failed = $derived(this.error ?? this.sections.find((s) => s.rows.error)?.rows.error);

  isOpen(s: Section): boolean {
    return s.id === '' || (this.opened.get(s.id) ?? this.sections.length <= openAtFirst);
  }

  #height(s: Section): number {
    return (s.id === '' ? 0 : 1) + (this.isOpen(s) ? Math.max(s.group?.runs ?? 0, s.tree.lines) : 0);
  }

  #sectionAt(index: number): number {
    let low = 0;
    for (let high = this.sections.length; high - low > 1; ) {
      const middle = (low + high) >> 1;
      if (this.#starts[middle]! <= index) low = middle;
      else high = middle;
    }
    return low;
  }

  /** The line at a place of the whole table. */
  line(index: number): Line | undefined {
    if (index < 0 || index >= this.lines) return undefined;
    const n = this.#sectionAt(index);
    const section = this.sections[n]!;
    const at = index - this.#starts[n]! - (section.id === '' ? 0 : 1);
    if (at < 0) return { kind: 'group', section };
    const { branch, row } = section.tree.line(at);
    return { kind: 'run', section, branch, row };
  }

  /** The rows of each section that stand on the lines from first to before last. */
  *#between(first: number, last: number): Generator<[RunWindow, number, number]> {
    for (let n = this.#sectionAt(first); n < this.sections.length && this.#starts[n]! < last; n++) {
      const s = this.sections[n]!;
      const head = this.#starts[n]! + (s.id === '' ? 0 : 1);
      const from = Math.max(0, first - head);
      const to = Math.min(this.#starts[n + 1]! - head, last - head);
      if (to <= from) continue;
      if (s.tree.parts.size) yield* s.tree.between(from, to);
      else yield [s.rows, from, to];
    }
  }

  /** Sees to it that the lines from first to before last are read. */
  need(first: number, last: number): void {
    for (const [rows, from, to] of this.#between(first, last)) rows.need(from, to);
  }

  /** The ids of the runs on the lines from first to before last, read where they are not here. */
  async ids(first: number, last: number): Promise<string[]> {
    const all: string[] = [];
    for (const [rows, from, to] of this.#between(first, last)) all.push(...(await rows.ids(from, to)));
    return all;
  }

  /** The ids of all runs that match, also of those in closed groups. */
  async allIds(): Promise<string[]> {
    if (!this.#asked) return [];
    const rows = this.#window({ ...this.#asked, keys: [] }, this.#asked.filter);
    await rows.begin(0, 1000);
    return rows.ids();
  }

  /** The first runs in order that are here, as charts draw them. */
  first(count: number): { row: Row; section: Section }[] {
    const out: { row: Row; section: Section }[] = [];
    for (const section of this.sections) {
      if (!this.isOpen(section)) continue;
      for (let i = 0; out.length < count && i < section.tree.lines; i++) {
        const { row } = section.tree.line(i);
        if (!row) break;
        out.push({ row, section });
      }
    }
    return out;
  }

  row(id: string): Row | undefined {
    for (const s of this.sections) for (const b of s.tree.all()) for (const { row } of b.rows.loaded()) if (row.id === id) return row;
    return undefined;
  }

  /** Whether runs stand below those that they are parts of: in a search among all, each stands for itself. */
  readonly nested = $derived(this.shown?.group === byParent && !this.shown.filter.trim());
  #unfolded = new Set<string>();

  /** Shows the runs that are parts of one below it, or no longer. */
  async unfold(branch: Branch, id: string): Promise<void> {
    if (branch.parts.delete(id)) return void this.#unfolded.delete(id);
    this.#unfolded.add(id);
    await this.#unfoldIn(branch, [id]);
  }

  /** Has a run open once the list is nested. */
  unfoldLater(id: string): void {
    this.#unfolded.add(id);
  }

  async #unfoldIn(branch: Branch, ids: string[]): Promise<void> {
    const asked = this.#asked;
    if (!asked) return;
    try {
      for (const id of ids) {
        const rows = this.#window(asked, `attributes.parent = '${id}'`); // an id has no quotes
        await rows.begin();
        if (asked !== this.#asked || !this.#unfolded.has(id)) return;
        const part = new Branch(rows, branch.depth + 1);
        branch.parts.set(id, part);
        await this.#unfoldKnown(part);
      }
    } catch (err) {
      this.error = err;
    }
  }

  #unfoldKnown(branch: Branch): Promise<void> {
    return this.#unfoldIn(branch, branch.rows.loaded().flatMap(({ row }) => (this.#unfolded.has(row.id) && row.children ? [row.id] : [])));
  }

  async loadFacets(): Promise<Facets> {
    return (this.facets = await api.runColumns(this.experiments.length ? { experiments: this.experiments } : {}));
  }

  /** Loads what is asked for; what was shown stays until the first rows are here. first is the line in view. */
  async ask(asked: Asked, first = 0, count = windowRows): Promise<void> {
    this.#asked = asked;
    const turn = ++this.#turn;
    this.busy = true;
    try {
      const grouped = asked.group && asked.group !== byParent;
      const sections = await (grouped ? this.#grouped(asked) : this.#single(asked, first, count));
      if (turn !== this.#turn) return;
      this.sections = sections;
      this.matched = grouped ? this.#found.total : sections[0]!.rows.total;
      this.groups = grouped ? this.#found.groups : 0;
      this.notes = grouped ? this.#found.notes : sections[0]!.rows.notes;
      this.shown = asked;
      this.wrong = this.error = undefined;
      if (this.nested) await this.#unfoldKnown(sections[0]!.tree);
    } catch (err) {
      if (turn !== this.#turn) return;
      if (err instanceof ApiError && err.code === 'invalid' && asked.filter) this.wrong = err;
      else this.error = err;
    } finally {
      if (turn === this.#turn) this.busy = false;
    }
  }

  #found = { total: 0, groups: 0, notes: [] as Note[] };

  async #single(asked: Asked, first: number, count: number): Promise<Section[]> {
    const rows = this.#window(asked, asked.group === byParent && !asked.filter.trim() ? equals(byParent, null) : asked.filter);
    await rows.begin(first, first + count);
    return [{ id: '', index: 0, rows, tree: new Branch(rows) }];
  }

  async #grouped(asked: Asked): Promise<Section[]> {
    const key = searchKey(asked.group!);
    const sums = asked.keys.filter((k) => /^(metric|best|least|greatest|mean):|^attribute:duration$/.test(k)).slice(0, 100);
    const got = await api.runGroups({ ...this.#scope(asked, asked.filter), order_by: orderBy(asked.order), columns: sums.map(searchKey), group_by: [key], limit: 1000 });
    this.#found = { total: got.total, groups: got.groups, notes: got.notes ?? [] };
    this.sums = new Map(sums.map((k, i) => [k, got.columns[i]!]));
    return got.items.map((group, index) => {
      const value = Object.values(group.by)[0];
      const rows = this.#window(asked, both(asked.filter, equals(asked.group!, value)));
      return { id: `${key}=${JSON.stringify(value ?? null)}`, group, value, index, rows, tree: new Branch(rows) };
    });
  }

  /** The server's names of the columns that groups sum up. */
  sums = new Map<ColumnKey, string>();

  #scope(asked: Asked, filter: string): Scope {
    return { filter, experiments: this.experiments, archived: asked.archived };
  }

  #window(asked: Asked, filter: string): RunWindow {
    return new RunWindow({ ...this.#scope(asked, filter), order_by: orderBy(asked.order), columns: asked.keys.map(searchKey) });
  }

  /** Finds again what is shown, the lines in view first. */
  async refresh(first: number, last: number): Promise<void> {
    if (!this.#asked) return;
    if ((this.#asked.group && this.#asked.group !== byParent) || !this.sections[0]) return this.ask(this.#asked, first, last - first);
    const turn = this.#turn;
    const rows = this.sections[0].rows;
    try {
      const [, from, to] = [...this.sections[0].tree.between(first, last)].find(([of]) => of === rows) ?? [rows, 0, windowRows];
      await rows.begin(Math.min(from, Math.max(0, rows.total - 1)), Math.max(to, from + 1));
      for (const part of this.sections[0].tree.all()) if (part.rows !== rows) await part.rows.begin();
      if (turn !== this.#turn) return;
      this.matched = rows.total;
      this.error = undefined;
    } catch (err) {
      if (turn === this.#turn) this.error = err;
    }
  }
}
