// Texts and figures in the language that is on. Called inside templates, so a switch redraws them.
import { en, type Key } from '../i18n/en.ts';
import { ja } from '../i18n/ja.ts';
import { fill, type Args } from '../i18n/message.ts';
import { ApiError } from './api.ts';
import { prefs } from './prefs.svelte.ts';
import * as f from './format.ts';

const catalogues: Record<'en' | 'ja', Record<Key, string>> = { en, ja };

export type { Key };

export function t(key: Key, args: Args = {}): string {
  return fill(catalogues[prefs.lang][key], prefs.lang, args);
}

/** A unit of the engine's progress, as the language has it. */
export function unit(name: string): string {
  const known = name.replaceAll(' ', '_');
  return `unit.${known}` in en ? t(`unit.${known}` as Key) : name;
}

/** An error as the user reads it. */
export function errorText(err: unknown): string {
  if (err instanceof ApiError) {
    if (err.code === 'network') return t('error.network');
    if (err.code === 'not_found') return t('error.not_found', { message: err.message });
    return err.message;
  }
  return err instanceof Error ? err.message : String(err);
}

export const number = (v: number | null | undefined, digits = 4) => f.number(v, prefs.lang, digits);
/** How to write the figures of a set so that those which differ read differently. */
export const among = (values: Iterable<number | null | undefined>, least?: number) => f.among(values, prefs.lang, least);
/** The same for the ticks of an axis, which read as what they are. */
export const tickText = (values: number[]) => f.among(values, prefs.lang, 1, true);
export const timesAmong = (times: number[]) => f.timesAmong(times, prefs.lang);
export const fixed = (v: number | null | undefined, digits: number) => f.fixed(v, prefs.lang, digits);
export const signed = (v: number | null | undefined, digits: number) => f.signed(v, prefs.lang, digits);
export const percent = (v: number | null | undefined) => f.percent(v, prefs.lang);
export const bytes = (v: number) => f.bytes(v, prefs.lang);
export const dateTime = (v: string | undefined) => f.dateTime(v, prefs.lang);
export const ago = (v: string | undefined, now: number) => f.ago(v, prefs.lang, now);
export const span = (ms: number | undefined) => f.span(ms, prefs.lang);
