// Routing by the history API. Links are plain <a href>; a click on one of ours is taken over here.

export type Route =
  | { page: 'experiments' }
  | { page: 'experiment'; id: string }
  | { page: 'runs' }
  | { page: 'run'; id: string }
  | { page: 'abtest'; id: string }
  | { page: 'compare' }
  | { page: 'queue' }
  | { page: 'escalations' }
  | { page: 'modules' }
  | { page: 'module'; sha: string }
  | { page: 'books' }
  | { page: 'book'; name: string }
  | { page: 'none' };

const name = '([^/]+)';
const table: [RegExp, (m: RegExpExecArray) => Route][] = [
  [/^\/$/, () => ({ page: 'experiments' })],
  [new RegExp(`^/experiments/${name}/?$`), (m) => ({ page: 'experiment', id: decode(m[1]!) })],
  [/^\/runs\/?$/, () => ({ page: 'runs' })],
  [new RegExp(`^/runs/${name}/?$`), (m) => ({ page: 'run', id: decode(m[1]!) })],
  [new RegExp(`^/runs/${name}/abtest/?$`), (m) => ({ page: 'abtest', id: decode(m[1]!) })],
  [/^\/compare\/?$/, () => ({ page: 'compare' })],
  [/^\/queue\/?$/, () => ({ page: 'queue' })],
  [/^\/escalations\/?$/, () => ({ page: 'escalations' })],
  [/^\/modules\/?$/, () => ({ page: 'modules' })],
  [/^\/notebooks\/?$/, () => ({ page: 'books' })],
  [/^\/notebooks\/(.+)$/, (m) => ({ page: 'book', name: decode(m[1]!) })],
  [new RegExp(`^/modules/${name}/?$`), (m) => ({ page: 'module', sha: decode(m[1]!) })],
];

function decode(s: string): string {
  try {
    return decodeURIComponent(s);
  } catch {
    return s;
  }
}

export function match(path: string): Route {
  for (const [re, make] of table) {
    const m = re.exec(path);
    if (m) return make(m);
  }
  return { page: 'none' };
}

class Router {
  path = $state(location.pathname);
  search = $state(location.search);
  /** Grows with every navigation, so that a page for another id is a new page. */
  visit = $state(0);
  route = $derived(match(this.path));

  go(path: string, replace = false): void {
    if (replace) history.replaceState(null, '', path);
    else history.pushState(null, '', path);
    this.arrive();
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
