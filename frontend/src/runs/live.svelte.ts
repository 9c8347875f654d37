// Keeps a table true while runs change: bursts of events are one search a second at most, points one in four.
import { connection } from '../lib/connection.svelte.ts';
import { stream, type ServerEvent } from '../lib/sse.ts';
import type { Run } from '../lib/types.ts';
import { seconds } from './changes.ts';

export function follow(experiments: string[], again: () => void, facets: () => void): () => void {
  const soon = seconds(again, 0.7);
  const later = seconds(again, 4);
  const columns = seconds(facets, 5);
  const of = (e: ServerEvent) => e.type === 'runs' || (e.type === 'run' && (!experiments.length || experiments.includes((e.data as Run).experiment_id)));
  const close = stream({
    onEvents: (events) => {
      if (events.some(of)) soon.soon(), columns.soon();
      else if (events.some((e) => e.type === 'metrics')) later.soon(), columns.soon();
    },
    onReset: again,
    onState: (s) => connection.stream(s),
    batchMS: 300,
  });
  return () => {
    close();
    soon.stop();
    later.stop();
    columns.stop();
  };
}
