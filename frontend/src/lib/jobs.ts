// Queue texts in the language that is on.
import { causeOf, reasonOf, waitsFor } from './reasons.ts';
import { t } from './i18n.ts';
import type { Reason } from './types.ts';

export function causeText(cause: string): string {
  const key = causeOf(cause);
  return key ? t(key) : cause;
}

/** A reason or an error of a run; what the queue did not write stays as it is. */
export function reasonText(text: string): string {
  const said = reasonOf(text);
  if (!said) return text;
  const { cause } = said.args;
  const told = t(said.key, cause === undefined ? said.args : { ...said.args, cause: causeText(String(cause)) });
  return said.rest ? `${told}\n${said.rest}` : told;
}

/** What a job waits for; a code without words of ours is shown as it is. */
export function waitsText(reason: Reason): string {
  const said = waitsFor(reason);
  return said ? t(said.key, said.args) : `${reason.code} ${Object.values(reason.args ?? {}).join(' ')}`.trim();
}
