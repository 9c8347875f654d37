// Figures and times through Intl. What is missing is written as a dash.

const dash = '–';
const cache = new Map<string, Intl.NumberFormat>();

function format(lang: string, o: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = lang + JSON.stringify(o);
  let f = cache.get(key);
  if (!f) cache.set(key, (f = new Intl.NumberFormat(lang, o)));
  return f;
}

const missing = (v: number | null | undefined): v is null | undefined =>
  v === null || v === undefined || !Number.isFinite(v);

/** A figure of unknown size with so many significant digits; very small and very large in powers of ten. */
export function number(v: number | null | undefined, lang: string, digits = 4): string {
  if (missing(v)) return dash;
  const size = Math.abs(v);
  if (size !== 0 && (size < 1e-4 || size >= 1e9)) return v.toExponential(Math.max(0, digits - 2));
  if (Number.isInteger(v)) return format(lang, {}).format(v);
  return format(lang, { maximumSignificantDigits: Math.max(digits, Math.floor(Math.log10(size)) + 1) }).format(v);
}

export function fixed(v: number | null | undefined, lang: string, digits: number): string {
  if (missing(v)) return dash;
  return format(lang, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(v);
}

export function signed(v: number | null | undefined, lang: string, digits: number): string {
  if (missing(v)) return dash;
  return format(lang, {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
    signDisplay: 'exceptZero',
  }).format(v);
}

export function percent(v: number | null | undefined, lang: string): string {
  return missing(v) ? dash : format(lang, { style: 'percent', maximumFractionDigits: 1 }).format(v);
}

export function bytes(v: number, lang: string): string {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];
  let i = 0;
  while (v >= 1000 && i < units.length - 1) {
    v /= 1000;
    i++;
  }
  return format(lang, {
    style: 'unit', unit: units[i], unitDisplay: i ? 'short' : 'long', maximumFractionDigits: v < 10 && i ? 1 : 0,
  }).format(v);
}

const parse = (v: string | undefined): number => {
  const t = v ? Date.parse(v) : NaN;
  return t < -62e12 ? NaN : t; // Go's zero time
};

export function dateTime(v: string | undefined, lang: string): string {
  const t = parse(v);
  if (Number.isNaN(t)) return dash;
  return new Intl.DateTimeFormat(lang, { dateStyle: 'medium', timeStyle: 'short' }).format(t);
}

/** "3 minutes ago"; a date from a month on. */
export function ago(v: string | undefined, lang: string, now: number): string {
  const t = parse(v);
  if (Number.isNaN(t)) return dash;
  const s = (t - now) / 1000;
  const f = new Intl.RelativeTimeFormat(lang, { numeric: 'auto' });
  const size = Math.abs(s);
  if (size < 45) return f.format(0, 'second');
  if (size < 3600) return f.format(Math.round(s / 60), 'minute');
  if (size < 86400) return f.format(Math.round(s / 3600), 'hour');
  if (size < 30 * 86400) return f.format(Math.round(s / 86400), 'day');
  return new Intl.DateTimeFormat(lang, { dateStyle: 'medium' }).format(t);
}

/** A length of time with its two largest units: "1 h 4 min", "12 s", "340 ms". */
export function span(ms: number | undefined, lang: string): string {
  if (ms === undefined || !Number.isFinite(ms)) return dash;
  const unit = (v: number, u: string, digits = 0) =>
    format(lang, { style: 'unit', unit: u, unitDisplay: 'short', maximumFractionDigits: digits }).format(v);
  if (ms < 1000) return unit(Math.round(ms), 'millisecond');
  const s = ms / 1000;
  if (s < 60) return unit(s < 10 ? Math.floor(s * 10) / 10 : Math.floor(s), 'second', 1);
  const parts: [number, string][] =
    s < 3600
      ? [[Math.floor(s / 60), 'minute'], [Math.floor(s % 60), 'second']]
      : s < 86400
        ? [[Math.floor(s / 3600), 'hour'], [Math.floor((s % 3600) / 60), 'minute']]
        : [[Math.floor(s / 86400), 'day'], [Math.floor((s % 86400) / 3600), 'hour']];
  return parts.filter(([v], i) => v > 0 || i === 0).map(([v, u]) => unit(v, u)).join(' ');
}
