// The bodies of /api/v1, as experiments/*.go writes them. A number that was NaN or infinite is null.

export type Status = 'queued' | 'running' | 'finished' | 'failed' | 'interrupted' | 'reused';

export interface List<T> {
  items: T[];
  next_cursor?: string;
}

export interface Experiment {
  id: string;
  name: string;
  /** '' or "team/project". */
  folder?: string;
  description?: string;
  tags?: Record<string, string>;
  created_at: string;
  updated_at: string;
  runs?: number;
  last_run_at?: string;
}

export interface Progress {
  done: number;
  total: number;
  unit: string;
  rate: number;
  note?: string;
}

export interface Step {
  /** Left out where the step is named as its kind. */
  name?: string;
  kind: string;
  key: string;
  status: Status;
  started_at?: string;
  ended_at?: string;
  output?: string;
  error?: string;
  progress?: Progress;
  notes?: string[]; // what it said: what was chosen, planned or resumed
}

/** Why a job waits: experiments/reason.go lists the codes. */
export interface Reason {
  code: string;
  args?: Record<string, string>;
}

export interface Job {
  queued_at: string;
  dir?: string;
  priority?: number;
  /** Workers started so far. */
  attempt: number;
  /** The machine of the attempt under way, or of the last; the server's own where left out. */
  worker?: string;
  /** Why it waits again. */
  reason?: string;
  /** What it waits for now. */
  waits?: Reason;
  /** Why the last worker died, where it did. */
  death?: string;
  deaths?: number;
}

/** A worker on another machine. */
export interface Worker {
  name: string;
  connected: boolean;
  /** It said good-bye. */
  left: boolean;
  /** Milliseconds since it was heard of last. */
  heard_ms: number;
  version: string;
  engine: string;
  os: string;
  arch: string;
  cores: number;
  /** Bytes; 0 where its system does not say. */
  memory: number;
  cards?: { name: string; memory: number }[];
  slots: number;
  runs: string[];
}

export interface Run {
  id: string;
  experiment_id: string;
  name: string;
  notes?: string;
  status: Status;
  created_at: string;
  started_at?: string;
  ended_at?: string;
  error?: string;
  params?: Record<string, string>;
  tags?: Record<string, string>;
  summary?: Record<string, number | null>;
  steps?: Step[];
  config?: string;
  /** Where the server's queue runs it. */
  job?: Job;
  /** In an event: large parts are left out. */
  partial?: boolean;
}

export interface Point {
  step: number;
  time: number;
  value: number | null;
}

export type MetricBatch = Record<string, Point[]>;

export interface MetricInfo {
  name: string;
  count: number;
  last?: Point;
}

export interface Series {
  name: string;
  points: [step: number, time: number, value: number | null][];
  total: number;
}

export interface Artifact {
  path: string;
  size: number;
  sha256: string;
  media_type: string;
  created_at: string;
}

export interface DatasetSummary {
  files: string[] | null;
  rows: number;
  skipped: number;
  problems?: string[];
  groups: number;
  splits: { name: string; rows: number; groups: number; tokens: number; labels: Record<string, number> }[] | null;
  languages: Record<string, number> | null;
  domains: Record<string, Record<string, number>> | null;
  duplicates: number;
  leaks: number;
  unproven?: number;
  contradictions?: number;
  mismatches?: number;
  missing?: string[];
  findings?: string[];
  dropped: number;
  seed: number;
}

export interface Difference {
  metric: string;
  a: number | null;
  b: number | null;
  delta: number | null;
  low: number | null;
  high: number | null;
  better: 'higher' | 'lower' | string;
  resamples: number;
  /** What it says of B; results from before there was an inference have none. */
  reading?: 'better' | 'worse' | 'unclear';
}

export interface Estimate {
  value: number | null;
  low: number | null;
  high: number | null;
}

export interface Comparison {
  metric: string;
  role: 'primary' | 'guardrail' | 'secondary' | string;
  better: 'higher' | 'lower' | string;
  rows: number;
  clusters: number;
  a: Estimate;
  b: Estimate;
  delta: Estimate;
  p_value: number;
  p_adjusted: number;
  claim?: string;
  margin: number;
  finding?: string;
  reading: 'better' | 'worse' | 'unclear';
  /** What each training gave, where the arms were trained several times. */
  trainings?: { a: (number | null)[]; b: (number | null)[]; delta: (number | null)[]; seed_error: number | null; row_error: number | null; seed_share: number | null };
}

/** Two arms of which one at least is neither A nor B: from stands as A in the comparisons, to as B. */
export interface Contrast {
  from: string;
  to: string;
  comparisons: Comparison[] | null;
}

/** What the rows show by the design of the test. */
export interface Inference {
  level: number;
  rows: number;
  clusters: number;
  comparisons: Comparison[] | null;
  /** Of the arms' trainings, where there were several. */
  seeds?: number[];
  contrasts?: Contrast[];
  verdict: { decision: string; code: string; text?: Record<string, string>; notes?: Record<string, string[]> };
}

export interface ArmResult {
  name: string;
  model: string;
  kind: string;
  scores: { accuracy: number | null; macro_f1: number | null };
  latency: { median_ms: number | null; p95_ms: number | null; mean_ms: number | null };
  confusion: number[][] | null;
  per_class:
    | { label: string; support: number; precision: number | null; recall: number | null; f1: number | null }[]
    | null;
  /** An SO8T model's safety and authority heads on their own. */
  heads?: {
    safety_accuracy: number | null;
    authority_accuracy: number | null;
    product: { accuracy: number | null; macro_f1: number | null };
  };
}

/** An interval has three values: the estimate, low, high; group_intervals three for each group, groups one. */
export interface MetricOutput {
  name: string;
  kind: string;
  direction: string;
  values: (number | null)[] | null;
  /** The confidence of intervals. */
  level?: number;
  groups?: string[];
}

/** What a module gave on the rows of which a column has one value; an empty value: on those without one. */
export interface ModuleSlice {
  by: string;
  value: string;
  rows: number;
  outputs?: MetricOutput[];
  error?: string;
}

export interface ModuleResult {
  /** Of the module and its parameters; results stored before there were keys have none. */
  key?: string;
  name: string;
  version: string;
  sha256: string;
  params?: Record<string, unknown>;
  outputs?: MetricOutput[];
  slices?: ModuleSlice[];
  error?: string;
  /** The error is none of the module's: the machine could not run it. */
  system?: boolean;
  /** What it wrote, and what it had to do without. */
  log?: string;
  notes?: string[];
  wall_ms: number;
}

export interface Sample {
  index: number;
  group: string;
  text: string;
  language: string;
  label: string;
  prediction_a: string;
  prediction_b: string;
  probability_a: (number | null)[] | null;
  probability_b: (number | null)[] | null;
  latency_a_ms: number | null;
  latency_b_ms: number | null;
  domain: string;
  /** The row's own answer, and what the models wrote where the test had them write. */
  reference?: string;
  output_a?: string;
  output_b?: string;
}

/** Which rows a test used, and whether the training data has them too. */
export interface TestSet {
  path: string;
  rows: number;
  skipped: number;
  problems?: string[];
  checked: boolean;
  reason?: string;
  train_rows: number;
  in_training: number;
  same_group: number;
  near_duplicates: number;
  unproven?: number;
}

export interface ABResult {
  rows: number;
  test_set?: TestSet;
  arms: [ArmResult, ArmResult];
  inference?: Inference;
  /** Arms beside A and B, which decide nothing. */
  others?: ArmResult[];
  differences: Difference[] | null;
  mcnemar: { only_a: number; only_b: number; statistic: number | null; p_value: number | null; exact: boolean };
  baselines: { name: string; scores: { accuracy: number | null; macro_f1: number | null }; detail: string }[] | null;
  metrics: ModuleResult[] | null;
  samples?: Sample[];
  device: string;
  warmup: number;
  environment?: Record<string, string>;
}

export interface Check {
  name: string;
  ok: boolean;
  detail?: string;
  /** What the module wrote meanwhile. */
  log?: string;
}

export interface Parameter {
  name: string;
  type: 'number' | 'integer' | 'boolean' | 'string' | 'numbers';
  /** Absent: the user must set it. */
  default?: unknown;
  min?: number;
  max?: number;
  description?: string;
}

export interface ModuleDescription {
  name: string;
  version: string;
  description: string;
  formula?: string;
  source?: string;
  columns: { role: string; arm?: string; name?: string; dtype?: string; optional?: boolean }[] | null;
  outputs:
    | { name: string; kind: string; direction: string; arm?: string; min?: number; max?: number; description?: string }[]
    | null;
  parameters?: Parameter[];
}

export interface Module {
  sha256: string;
  name: string;
  version: string;
  size: number;
  uploaded_at: string;
  description: ModuleDescription;
  checks: Check[] | null;
  used_by?: string[];
}

/** A step of what a run would do. */
export interface PlannedStep {
  name: string;
  kind: string;
  taken_over: boolean;
  /** What the result took, or the last step of the kind; left out where nothing is known. */
  seconds?: number;
}

export interface ConfigExample {
  name: string;
  title: string;
  yaml: string;
}

export interface Info {
  version: string;
  engine_version: string;
  device: { name: string; model: string; threads: number; simd: string };
  go: string;
  os: string;
  arch: string;
  started_at: string;
  data_dir_free_bytes: number;
  /** Queries are answered here, or wait for a person. */
  escalations: boolean;
}

/** The four classes, in the order of every table and matrix (experiments.Labels). */
export const LABELS = ['ALLOW', 'ESCALATION', 'DENY', 'REFUSE'] as const;
