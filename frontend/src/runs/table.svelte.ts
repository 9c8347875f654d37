// What a table of runs shows, put together of the list that the server found and the view that a person arranged.
import { api } from '../lib/api.ts';
import { dateTime, number } from '../lib/i18n.ts';
import { prefs } from '../lib/prefs.svelte.ts';
import type { RunRef } from '../panels/spec.ts';
import { seriesName } from '../run/names.ts';
import { constant, isMetric, pinnedFirst, primaryOf, Titles, usualColumns, widthOf } from './columns.ts';
import { figures } from './figures.ts';
import { RunList, type Section } from './list.svelte.ts';
import { brief, differences, namingKeys, unnamed } from './naming.ts';
import { facetKey, oneOf, rowsOf, searchKey, type Cell, type Facet, type Row } from './search.ts';
import { Selection } from './selection.svelte.ts';
import { kindOf, nameOf, type ColumnKey, type ViewColumn } from './view.ts';
import { ViewState } from './viewstate.svelte.ts';

/** So many runs are drawn by charts unless a person shows others besides. */
export const drawnAtFirst = 20;

export class RunTable {
  readonly list: RunList;
  readonly state = new ViewState();
  readonly selection: Selection;
  /** The baseline, and the runs that are drawn though they are not among the first. */
  extras = $state.raw<Row[]>([]);
  readonly everywhere: boolean;

  constructor(experiments: string[]) {
    this.everywhere = experiments.length === 0;
    this.list = new RunList(experiments);
    this.selection = new Selection(this.list, this.state.selected);
  }

  readonly view = $derived(this.state.view);
  readonly facets = $derived.by(() => this.list.facets?.items ?? []);
  readonly #byKey = $derived.by(() => new Map(this.facets.map((f) => [facetKey(f), f])));
  readonly columns = $derived.by(() => pinnedFirst(this.view.columns ?? (this.list.facets ? usualColumns(this.list.facets, this.everywhere) : [])));
  readonly primary = $derived.by(() => this.list.facets && primaryOf(this.list.facets));
  /** Names of the metrics that are columns, the one that counts first before the others. */
  readonly shownMetrics = $derived([...new Set([...(this.primary ? [this.primary] : []), ...this.columns.map((c) => c.key).filter(isMetric)].map(nameOf))]);
  readonly constant = $derived(constant(this.facets));
  readonly naming = $derived.by(() => this.list.facets ? namingKeys(this.list.facets) : []);
  readonly #titles = $derived(new Titles(this.facets));
  /** What each row is asked for. */
  readonly keys = $derived.by(() => [...new Set([...this.columns.map((c) => c.key), ...this.naming, ...(this.everywhere ? ['attribute:experiment' as const] : [])])]);
  readonly #places = $derived.by(() => new Map((this.list.shown?.keys ?? []).map((k, i) => [k, i])));
  readonly density = $derived(this.view.density ?? prefs.density);
  readonly rowHeight = $derived(this.density === 'dense' ? 28 : 36);
  readonly asked = $derived({ filter: this.view.filter, order: this.view.order, keys: this.keys, group: this.view.group, archived: this.view.archived });

  facet(key: ColumnKey): Facet | undefined {
    return this.#byKey.get(isMetric(key) ? `metric:${nameOf(key)}` : key);
  }

  title(key: ColumnKey): string {
    if (kindOf(key) === 'attribute') return nameOf(key);
    const read = isMetric(key) ? seriesName(nameOf(key)) : nameOf(key);
    return read === nameOf(key) ? this.#titles.of(key) : read;
  }

  isNumber(key: ColumnKey): boolean {
    return isMetric(key) || key === 'attribute:duration' || this.facet(key)?.type === 'number';
  }

  value(row: Row, key: ColumnKey): Cell | undefined {
    return row.values[this.#places.get(key) ?? -1];
  }

  name(row: Row): string {
    return (unnamed(row) && differences(this.naming.filter((k) => k !== this.view.group), (k) => this.value(row, k))) || row.name || row.id.slice(0, 8);
  }

  // Figures

  /** The figures of a column that are here decide with how many digits it is written. */
  readonly #formats = $derived.by(() => {
    const out = new Map<ColumnKey, (v: number | null | undefined) => string>();
    const rows = this.list.first(30);
    for (const c of this.columns) {
      if (!isMetric(c.key)) continue;
      const values = rows.map(({ row }) => this.value(row, c.key)).filter((v): v is number => typeof v === 'number');
      out.set(c.key, figures(values));
    }
    return out;
  });

  figure(key: ColumnKey, v: number | null | undefined): string {
    return (this.#formats.get(key) ?? number)(v);
  }

  text(row: Row, key: ColumnKey): string {
    const v = this.value(row, key);
    if (v === undefined || v === null) return '–';
    if (typeof v === 'number' && isMetric(key)) return this.figure(key, v);
    if (v === 'Infinity' || v === '-Infinity') return v.replace('Infinity', '∞').replace('-', '−');
    return typeof v === 'number' ? number(v) : kindOf(key) === 'param' ? brief(v as string) : String(v);
  }

  /** A moment of a run as text; undefined where the column is none. */
  moment(row: Row, key: ColumnKey): number | null | undefined {
    switch (key) {
      case 'attribute:started': return row.started ?? row.created;
      case 'attribute:created': return row.created;
      case 'attribute:ended': return row.ended;
    }
    return undefined;
  }

  readonly baseline = $derived.by(() => this.view.baseline ? (this.extras.find((r) => r.id === this.view.baseline) ?? this.list.row(this.view.baseline)) : undefined);

  /** How a run's figure differs from the baseline's; undefined where it does not, or cannot be said. */
  delta(row: Row, key: ColumnKey): { text: string; reading: 'better' | 'worse' | '' } | undefined {
    if (!this.baseline || row.id === this.baseline.id || !isMetric(key)) return undefined;
    const [a, b] = [this.value(this.baseline, key), this.value(row, key)];
    if (typeof a !== 'number' || typeof b !== 'number') return undefined;
    return this.difference(key, b - a);
  }

  difference(key: ColumnKey, d: number): { text: string; reading: 'better' | 'worse' | '' } {
    const direction = this.facet(key)?.direction;
    const text = (d > 0 ? '+' : d < 0 ? '−' : '±') + this.figure(key, Math.abs(d));
    const reading = d === 0 || !direction ? '' : (d > 0) === (direction === 'higher') ? 'better' : 'worse';
    return { text, reading };
  }

  /** What a comparison of the selected runs, or of the one the keyboard stands on, compares: with the baseline first. */
  compared(active?: string): string[] {
    const chosen = this.selection.ids.size ? [...this.selection.ids] : active ? [active] : [];
    return [...new Set([...(this.view.baseline ? [this.view.baseline] : []), ...chosen])];
  }

  // Charts

  #colours = new Map<string, number>();

  /** The runs that charts draw, with colours: one keeps its colour while it is drawn, whatever the order. */
  readonly drawn = $derived.by((): RunRef[] => {
    const hidden = new Set(this.view.hidden);
    const first = this.list.first(drawnAtFirst + hidden.size).filter(({ row }) => !hidden.has(row.id)).slice(0, drawnAtFirst);
    const extra = this.extras.filter((r) => !hidden.has(r.id) && !first.some((f) => f.row.id === r.id)).map((row) => ({ row, section: undefined as Section | undefined }));
    const all = [...first, ...extra];
    const taken = new Set<number>();
    const colours = new Map<string, number>();
    for (const { row } of all) {
      const kept = this.#colours.get(row.id);
      if (kept !== undefined && kept < all.length && !taken.has(kept)) colours.set(row.id, kept), taken.add(kept);
    }
    let next = 0;
    for (const { row, section } of all) {
      if (section?.group) colours.set(row.id, section.index);
      else if (!colours.has(row.id)) {
        while (taken.has(next)) next++;
        colours.set(row.id, next), taken.add(next);
      }
    }
    this.#colours = colours;
    return all.map(({ row, section }) => ({
      id: row.id, name: this.name(row), colour: colours.get(row.id)!,
      ...(section?.group ? { group: this.groupTitle(section) } : {}), ...(row.id === this.view.baseline ? { baseline: true } : {}),
    }));
  });
  readonly colours = $derived(new Map(this.drawn.map((d) => [d.id, d.colour])));

  groupTitle(s: Section): string {
    return `${this.title(this.view.group!)} = ${s.value ?? '–'}`;
  }

  /** Draws a run in charts, or no longer. */
  toggleDrawn(id: string): void {
    const { hidden, shown } = this.view;
    if (this.colours.has(id)) this.state.change({ hidden: [...hidden, id], shown: shown.filter((x) => x !== id) });
    else if (hidden.includes(id)) this.state.change({ hidden: hidden.filter((x) => x !== id) });
    else this.state.change({ shown: [...shown, id] });
  }

  /** Reads the runs that the view names and that may stand anywhere in the order, or be filtered out. */
  async loadExtras(): Promise<void> {
    const ids = [...new Set([...this.view.shown, ...(this.view.baseline ? [this.view.baseline] : [])])].slice(0, 500);
    if (!ids.length) return void (this.extras = []);
    const got = await api.searchRuns({ filter: oneOf(ids), archived: 'also', columns: this.keys.map(searchKey), limit: ids.length });
    this.extras = rowsOf(got);
  }

  // Columns

  setColumns(columns: ViewColumn[] | undefined): void {
    this.state.change({ columns: columns && pinnedFirst(columns) });
  }

  resize(key: ColumnKey, width: number): void {
    this.setColumns(this.columns.map((c) => (c.key === key ? { ...c, width: Math.round(width) } : c)));
  }

  /** Orders by a column, or turns its order round: a metric best first, a name from A, a time the newest first. With
   *  others, it counts after them. */
  orderBy(key: ColumnKey, others = false): void {
    const at = this.view.order.find((o) => o.key === key);
    const down = isMetric(key) ? this.facet(key)?.direction !== 'lower' : /^attribute:(started|created|ended|duration)$/.test(key);
    const mine = { key, descending: at ? !at.descending : down };
    const rest = this.view.order.filter((o) => o.key !== key);
    this.state.change({ order: others ? (at ? this.view.order.map((o) => (o.key === key ? mine : o)) : [...rest, mine].slice(-4)) : [mine] });
  }

  width(c: ViewColumn): number {
    return widthOf(c);
  }

  when(ms: number | null | undefined): string {
    return ms ? dateTime(new Date(ms).toISOString()) : '–';
  }

  readonly dark = $derived(prefs.dark);
}
