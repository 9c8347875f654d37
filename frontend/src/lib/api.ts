// Calls to /api/v1. Every failure is an ApiError with the server's code and message, or the code
// "network" when no answer came.
import type { Decision, Escalation } from '../escalations/api.ts';
import type { ComparedSamples, SampleHistory } from '../compare/types.ts';
import type { Facets, Groups, Scope, SearchPage, SearchRequest, TablePage } from '../runs/search.ts';
import type { Bulk, Change } from '../runs/actions.ts';
import type { SavedView } from '../runs/views.svelte.ts';
import type {
  ABResult, Artifact, ConfigExample, DatasetSummary, Experiment, Info, List, MetricInfo, Module, ModuleResult, PlannedStep, Run,
  Series, Status, TableFilePage, Worker,
} from './types.ts';

export class ApiError extends Error {
  readonly code: string;
  readonly status: number;
  readonly details: Record<string, unknown>;

  constructor(code: string, message: string, status: number, details: Record<string, unknown> = {}) {
    super(message);
    this.code = code;
    this.status = status;
    this.details = details;
  }
}

/** Told of every answer (true) and of every request without one (false); the banner listens. */
export const reach: { report: (reached: boolean) => void } = { report: () => {} };

const root = '/api/v1';

/** The rooms' own calls go through these two. */
export async function call(method: string, path: string, body?: unknown, type = 'application/json', headers: Record<string, string> = {}, signal?: AbortSignal): Promise<Response> {
  const init: RequestInit = { method, headers: { ...headers }, signal: signal ?? null };
  if (body !== undefined) {
    init.body = body instanceof Blob ? body : JSON.stringify(body);
    (init.headers as Record<string, string>)['Content-Type'] = type;
  }
  let res: Response;
  try {
    res = await fetch(root + path, init);
  } catch (err) {
    if (signal?.aborted) throw err;
    reach.report(false);
    throw new ApiError('network', '', 0);
  }
  reach.report(true);
  if (res.ok) return res;
  const text = await res.text();
  try {
    const e = JSON.parse(text) as { code: string; message: string; details?: Record<string, unknown> };
    throw new ApiError(e.code, e.message, res.status, e.details ?? {});
  } catch (err) {
    if (err instanceof ApiError) throw err;
    throw new ApiError('internal', text.slice(0, 300) || res.statusText, res.status);
  }
}

export async function json<T>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<T> {
  return (await call(method, path, body, undefined, headers)).json() as Promise<T>;
}

function query(params: Record<string, string | number | undefined>): string {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(params)) if (v !== undefined && v !== '') q.set(k, String(v));
  const s = q.toString();
  return s ? `?${s}` : '';
}

const id = encodeURIComponent;

/** Path of an artifact's bytes; each segment is escaped, the slashes stay. */
export function artifactURL(run: string, path: string, download = false): string {
  return `${root}/runs/${id(run)}/artifacts/${path.split('/').map(id).join('/')}${download ? '?download=1' : ''}`;
}

export function reportURL(run: string, lang: string, download: boolean): string {
  return `${root}/runs/${id(run)}/report${query({ lang, download: download ? 1 : undefined })}`;
}

/** The rows that a comparison shows, as a file; query is compare/address.ts's. */
export const comparedRowsURL = (query: string): string => `${root}/compare/rows?${query}&download=1`;

export const logURL = (run: string): string => `${root}/runs/${id(run)}/log`;

export const moduleBytesURL = (sha: string): string => `${root}/modules/${id(sha)}/wasm`;

export const api = {
  info: () => json<Info>('GET', '/info'),

  experiments: (limit?: number, cursor?: string) =>
    json<List<Experiment>>('GET', '/experiments' + query({ limit, cursor })),
  experiment: (e: string) => json<Experiment>('GET', `/experiments/${id(e)}`),
  createExperiment: (b: { name: string; description?: string }) => json<Experiment>('POST', '/experiments', b),
  patchExperiment: (e: string, b: { name?: string; description?: string }) =>
    json<Experiment>('PATCH', `/experiments/${id(e)}`, b),
  /** Gives the token that undoes it. */
  deleteExperiment: async (e: string) => (await call('DELETE', `/experiments/${id(e)}`)).headers.get('Undo-Token') ?? '',

  runs: (p: { experiment_id?: string; status?: Status; limit?: number; cursor?: string }) => json<List<Run>>('GET', '/runs' + query(p)),
  searchRuns: (b: SearchRequest) => json<SearchPage>('POST', '/runs/search', b),
  searchTable: (b: SearchRequest & { offset: number }) => json<TablePage>('POST', '/runs/search', { ...b, form: 'table' }),
  metricNames: (name: string) => json<Facets>('GET', '/runs/columns' + query({ name })),
  runColumns: (b: Scope) => json<Facets>('POST', '/runs/columns', b),
  runGroups: (b: Scope & { order_by?: string[]; columns?: string[]; group_by: string[]; limit?: number }) => json<Groups>('POST', '/runs/groups', b),
  bulk: (b: Bulk) => json<Change>('POST', '/runs/bulk', b),
  undo: (token: string, skip = false) => json<Change>('POST', `/undo/${id(token)}`, skip ? { skip_conflicts: true } : {}),
  views: (experiment?: string) => json<List<SavedView>>('GET', '/views' + query({ experiment })),
  view: (v: string) => json<SavedView>('GET', `/views/${id(v)}`),
  createView: (b: { name: string; experiment?: string; body: unknown }) => json<SavedView>('POST', '/views', b),
  patchView: (v: string, b: { name?: string; body?: unknown }, revision?: number) =>
    json<SavedView>('PATCH', `/views/${id(v)}`, b, revision === undefined ? {} : { 'If-Match': `"${revision}"` }),
  deleteView: async (v: string) => void (await call('DELETE', `/views/${id(v)}`)),
  run: (r: string) => json<Run>('GET', `/runs/${id(r)}`),
  patchRun: (r: string, b: { name?: string; notes?: string; tags?: Record<string, string | null> }) =>
    json<Run>('PATCH', `/runs/${id(r)}`, b),
  deleteRun: async (r: string) => void (await call('DELETE', `/runs/${id(r)}`)),
  cancelRun: async (r: string) => void (await call('POST', `/runs/${id(r)}/cancel`)),
  resumeRun: async (r: string) => void (await call('POST', `/runs/${id(r)}/resume`)),
  queue: () => json<List<Run>>('GET', '/queue'),
  workers: () => json<List<Worker>>('GET', '/workers'),
  /** What the run's workers printed, from a byte on. */
  log: async (r: string, from: number) =>
    new Uint8Array(await (await call('GET', `/runs/${id(r)}/log` + query({ from }))).arrayBuffer()),

  metrics: (r: string) => json<List<MetricInfo>>('GET', `/runs/${id(r)}/metrics`),
  series: (r: string, name: string, max_points: number) =>
    json<Series>('GET', `/runs/${id(r)}/metrics/series` + query({ name, max_points })),

  manySeries: (b: { names: string[]; runs: string[]; max_points: number; from?: number; to?: number }) =>
    json<{ items: { name: string; run: string; total: number; steps: number[]; times: number[]; values: (number | null | string)[] }[] }>('POST', '/series', b),

  artifacts: (r: string) => json<List<Artifact>>('GET', `/runs/${id(r)}/artifacts`),
  /** Rows of a Parquet or Arrow file. */
  fileRows: async (r: string, path: string, offset: number, limit: number, signal: AbortSignal) =>
    (await call('GET', `/runs/${id(r)}/rows/${path.split('/').map(id).join('/')}` + query({ offset, limit }), undefined, undefined, {}, signal)).json() as Promise<TableFilePage>,
  putArtifact: async (r: string, path: string, body: Blob, type: string) =>
    (await call('PUT', artifactURL(r, path).slice(root.length), body, type)).json() as Promise<Artifact>,
  comparedSamples: async (query: string, signal: AbortSignal) =>
    (await call('GET', `/compare/samples?${query}`, undefined, undefined, {}, signal)).json() as Promise<ComparedSamples>,
  comparedRows: async (query: string) => (await call('GET', `/compare/rows?${query}`)).blob(),
  sampleHistory: (key: string, cursor: string) => json<SampleHistory>('GET', '/samples/history' + query({ key, cursor })),
  environment: (r: string) => json<{ rows: number; device: string; environment: Record<string, string> | null }>('GET', `/runs/${id(r)}/environment`),
  data: (r: string) => json<DatasetSummary>('GET', `/runs/${id(r)}/data`),
  replacement: (r: string) => json<Record<string, unknown>>('GET', `/runs/${id(r)}/replacement`),
  abtest: (r: string) => json<ABResult>('GET', `/runs/${id(r)}/abtest`),
  moduleResults: (r: string) => json<List<ModuleResult>>('GET', `/runs/${id(r)}/abtest/metrics`),
  tryModule: (r: string, b: { module: string; params: Record<string, unknown>; slices?: string[] }) =>
    json<ModuleResult>('POST', `/runs/${id(r)}/abtest/metrics`, b),

  configs: () => json<List<ConfigExample>>('GET', '/configs'),
  plan: (config: string) => json<{ steps: PlannedStep[] }>('POST', '/plan', { config }),
  startJob: (b: { config: string; name?: string; experiment_id?: string }) => json<Run>('POST', '/jobs', b),

  escalations: () => json<List<Escalation>>('GET', '/escalations'),
  decide: async (request: number, b: { decision: Decision; note: string }) => void (await call('POST', `/escalations/${request}/decision`, b)),

  modules: () => json<List<Module>>('GET', '/modules'),
  module: (sha: string) => json<Module>('GET', `/modules/${id(sha)}`),
  uploadModule: async (file: Blob) =>
    (await call('POST', '/modules', file, 'application/wasm')).json() as Promise<Module>,
  hideModule: async (sha: string) => void (await call('DELETE', `/modules/${id(sha)}`)),
};

/** Every page of a list, up to max items, so that a long list costs a bounded number of requests. */
export async function all<T>(
  page: (limit: number, cursor?: string) => Promise<List<T>>,
  max = 2000,
): Promise<{ items: T[]; more: boolean }> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const got = await page(Math.min(500, max - items.length), cursor);
    items.push(...(got.items ?? []));
    cursor = got.next_cursor || undefined;
  } while (cursor && items.length < max);
  return { items, more: cursor !== undefined };
}
