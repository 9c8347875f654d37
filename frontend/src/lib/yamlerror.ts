/** Line (1-based) an error of the server points at: details.line, or "line 12" or "config.yaml:12:"
 *  in the message; 0 when it points at none. */
export function errorLine(message: string, details: Record<string, unknown>): number {
  if (typeof details.line === 'number') return details.line;
  const m = /\bline (\d+)/i.exec(message) ?? /(?:^|[\w.)\]]):(\d+)(?::|\s|$)/.exec(message);
  return m ? Number(m[1]) : 0;
}
