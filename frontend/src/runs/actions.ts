// What is done to many runs at once, and what the server answers: everything can be undone by its token.
import type { Scope } from './search.ts';

export type Action = 'tag' | 'move' | 'archive' | 'restore' | 'delete';

export interface Bulk {
  ids?: string[];
  where?: Scope & { expected: number };
  action: Action;
  /** Of tag: null takes one away. */
  tags?: Record<string, string | null>;
  /** Of move. */
  experiment_id?: string;
}

export interface Change {
  token: string;
  action: Action;
  state: 'done' | 'undone' | string;
  runs: number;
  changed: number;
  unchanged: number;
  skipped: number;
  problems?: { id: string; reason: string }[] | null;
  restored: number;
  left: number;
}
