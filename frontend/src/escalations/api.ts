// Queries that wait for a person's decision.
import { api } from '../lib/api.ts';

export interface Escalation {
  /** Its number in the audit log. */
  request: number;
  time: string;
  query: string;
  verdict: string;
  /** Probability of each class. */
  scores: Record<string, number>;
  model: string;
  model_hash: string;
}

export type Decision = 'allow' | 'deny';

export const waitingQueries = async (): Promise<Escalation[]> => (await api.escalations()).items ?? [];
