// Routing by the history API. Links are plain <a href>; a click on one of ours is taken over here.
import { match } from './routes.ts';

export type { Route } from './routes.ts';

class Router {
  path = $state(location.pathname);
  search = $state(location.search);
  /** Grows with every navigation, so that a page for another id is a new page. */
  visit = $state(0);
  /** Grows with every link that is followed, also to another view of the page that is open. */
  followed = $state(0);
  route = $derived(match(this.path));

  go(path: string, replace = false): void {
    if (replace) history.replaceState(null, '', path);
    else history.pushState(null, '', path);
    this.arrive();
    this.followed++;
    scrollTo(0, 0);
  }

  /** A value of the query; '' for none. */
  query(name: string): string {
    return new URLSearchParams(this.search).get(name) ?? '';
  }

  /** The page's address with other values in its query; '' takes one out. */
  with(changes: Record<string, string>): string {
    const q = new URLSearchParams(this.search);
    for (const [name, value] of Object.entries(changes)) {
      if (value) q.set(name, value);
      else q.delete(name);
    }
    return location.pathname + (q.size ? `?${q}` : '');
  }

  /** Changes the query where the page stands, so that Back returns to what was shown. */
  set(changes: Record<string, string>, replace = false): void {
    const href = this.with(changes);
    if (href === location.pathname + location.search) return;
    if (replace) history.replaceState(history.state, '', href);
    else history.pushState(null, '', href);
    this.arrive();
  }

  arrive(): void {
    this.search = location.search;
    if (location.pathname === this.path) return; // only the query changed
    this.path = location.pathname;
    this.visit++;
  }
}

export const router = new Router();

addEventListener('popstate', () => router.arrive());

document.addEventListener('click', (e) => {
  if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
  const a = (e.target as Element).closest('a');
  if (!a || a.target || a.hasAttribute('download') || a.origin !== location.origin) return;
  if (a.pathname.startsWith('/api/') || (a.hash && a.pathname === location.pathname)) return;
  e.preventDefault();
  router.go(a.pathname + a.search);
});
