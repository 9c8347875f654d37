// Where a page stands, from the outermost folder to itself.
import { untrack } from 'svelte';

export interface Crumb {
  label: string;
  /** Left out for the page itself. */
  href?: string;
}

class Crumbs {
  trail = $state.raw<Crumb[]>();

  /** Shows a trail until the page is left; for an $effect. */
  show(trail: Crumb[]): () => void {
    this.trail = trail;
    return () => {
      if (untrack(() => this.trail) === trail) this.trail = undefined;
    };
  }
}

export const crumbs = new Crumbs();
