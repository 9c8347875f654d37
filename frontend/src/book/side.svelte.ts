// What the panel beside a notebook shows; on a narrow screen it is a sheet that the toolbar opens.
import { recall, remember } from '../lib/prefs.svelte.ts';

export const tabs = ['outline', 'graph', 'comments'] as const;
export type Tab = (typeof tabs)[number];

class Side {
  tab = $state<Tab>(tabs.find((x) => x === recall('book-side')) ?? 'outline');
  /** On a narrow screen. */
  open = $state(false);

  show(tab: Tab): void {
    this.tab = tab;
    remember('book-side', tab);
  }
}

export const side = new Side();
