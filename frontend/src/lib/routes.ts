// Which page an address is.

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
  | { page: 'reports' }
  | { page: 'report'; id: string }
  | { page: 'books' }
  | { page: 'book'; name: string }
  | { page: 'guide' }
  | { page: 'none' };

const name = '([^/]+)';
export const table: [RegExp, (m: RegExpExecArray) => Route][] = [
  [/^\/$/, () => ({ page: 'experiments' })],
  [new RegExp(`^/experiments/${name}/?$`), (m) => ({ page: 'experiment', id: decode(m[1]!) })],
  [/^\/runs\/?$/, () => ({ page: 'runs' })],
  [new RegExp(`^/runs/${name}/?$`), (m) => ({ page: 'run', id: decode(m[1]!) })],
  [new RegExp(`^/runs/${name}/abtest/?$`), (m) => ({ page: 'abtest', id: decode(m[1]!) })],
  [/^\/compare\/?$/, () => ({ page: 'compare' })],
  [/^\/queue\/?$/, () => ({ page: 'queue' })],
  [/^\/escalations\/?$/, () => ({ page: 'escalations' })],
  [/^\/modules\/?$/, () => ({ page: 'modules' })],
  [/^\/reports\/?$/, () => ({ page: 'reports' })],
  [new RegExp(`^/reports/${name}/?$`), (m) => ({ page: 'report', id: decode(m[1]!) })],
  [/^\/guide\/?$/, () => ({ page: 'guide' })],
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
