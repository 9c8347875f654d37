// Rows of an Arrow file or stream, as text.
import { tableFromIPC } from 'apache-arrow';

export function arrowRows(bytes: Uint8Array, most: number): { head: string[]; rows: string[][]; total: number } {
  const table = tableFromIPC(bytes);
  const head = table.schema.fields.map((f) => f.name);
  const rows: string[][] = [];
  for (let i = 0; i < Math.min(most, table.numRows); i++) rows.push(head.map((_, j) => cell(table.getChildAt(j)?.get(i))));
  return { head, rows, total: table.numRows };
}

function cell(v: unknown): string {
  if (v === null || v === undefined) return '';
  if (typeof v === 'object' && Symbol.iterator in v) {
    const all = [...(v as Iterable<unknown>)];
    return `[${all.slice(0, 32).map(String).join(', ')}${all.length > 32 ? `, … ${all.length}` : ''}]`;
  }
  return String(v);
}
