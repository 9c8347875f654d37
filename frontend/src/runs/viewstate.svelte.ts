// The view of a page. Every change is written into the address as far as it stays short, and whole into the history's
// entry, so that Back, Forward, a reload and a colleague find it again.
import { asView, longestAddress, readView, usualView, viewQuery, type RunView } from './view.ts';

interface Entry {
  query: string;
  view: unknown;
  saved: string;
  selected: string[];
  top?: number;
  left?: number;
}

const mostSelected = 5000; // ids that an entry of the history keeps; a browser refuses entries of many megabytes

export class ViewState {
  view = $state.raw<RunView>(readView('').view);
  /** Id of the saved view it was opened as. */
  saved = $state('');
  /** The address names a saved view and says nothing else: it is to be shown as it was saved. */
  named = $state(false);
  selected: string[] = [];
  /** Where the table was scrolled to. */
  top = 0;
  left = 0;

  constructor() {
    this.read();
  }

  /** Takes the view from the address and the history's entry. */
  read(): void {
    const entry = (history.state as { runs?: Entry } | null)?.runs;
    const mine = entry && entry.query === location.search;
    const given = readView(location.search);
    this.view = mine ? asView(entry.view) : given.view;
    this.saved = mine ? entry.saved : given.saved;
    this.named = !mine && !!given.saved && location.search === viewQuery(usualView(), [], given.saved);
    this.selected = mine ? entry.selected : given.selected;
    this.top = mine ? (entry.top ?? 0) : 0;
    this.left = mine ? (entry.left ?? 0) : 0;
  }

  change(part: Partial<RunView>): void {
    this.view = { ...this.view, ...part };
    this.named = false;
    this.write();
  }

  /** Shows the saved view that the address names, at this place of the history. */
  take(view: RunView): void {
    this.view = view;
    this.named = false;
    this.write();
  }

  /** Shows another view whole; Back returns to this one. */
  open(view: RunView, saved: string): void {
    this.write();
    this.view = view;
    this.saved = saved;
    this.named = false;
    this.top = this.left = 0;
    this.write(true);
  }

  write(push = false): void {
    const few = this.selected.length * 37 < longestAddress / 2 ? this.selected : [];
    const query = viewQuery(this.view, few, this.saved);
    const runs: Entry = { query, view: $state.snapshot(this.view), saved: this.saved, selected: this.selected.slice(0, mostSelected), top: this.top, left: this.left };
    const args = [{ ...(push ? {} : history.state), runs }, '', location.pathname + query] as const;
    if (push) history.pushState(...args);
    else history.replaceState(...args);
  }
}
