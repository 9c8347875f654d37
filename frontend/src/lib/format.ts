// Every figure and time that a page shows, through Intl. What is missing is a dash, NaN is NaN, an infinity ∞; the
// figures of a set (a column, an axis) have the digits that tell them apart and no more.

const dash = '–';

// To make a formatter takes ten times as long as to use it, and a table that is scrolled writes some for each row.
const formatters = new Map<string, unknown>();

function made<T>(kind: string, lang: string, o: object, make: () => T): T {
  const key = kind + lang + JSON.stringify(o);
  if (!formatters.has(key)) formatters.set(key, make());
  return formatters.get(key) as T;
}

const format = (lang: string, o: Intl.NumberFormatOptions) => made('number', lang, o, () => new Intl.NumberFormat(lang, o));
const moment = (lang: string, o: Intl.DateTimeFormatOptions) => made('time', lang, o, () => new Intl.DateTimeFormat(lang, o));
const distance = (lang: string) => made('distance', lang, {}, () => new Intl.RelativeTimeFormat(lang, { numeric: 'auto' }));

/** What is no number that Intl should write: missing, NaN, an infinity. */
function odd(v: number | null | undefined): string | undefined {
  if (v === null || v === undefined) return dash;
  if (Number.isNaN(v)) return 'NaN';
  return Number.isFinite(v) ? undefined : v > 0 ? '∞' : '−∞';
}

/** A figure of unknown size with so many significant digits; very small and very large in powers of ten. */
export function number(v: number | null | undefined, lang: string, digits = 4): string {
  const special = odd(v);
  if (special !== undefined) return special;
  const x = v as number;
  const size = Math.abs(x);
  if (size !== 0 && (size < 1e-4 || size >= 1e9)) return power(x, Math.max(0, digits - 2));
  if (Number.isInteger(x)) return format(lang, {}).format(x);
  return format(lang, { maximumSignificantDigits: Math.max(digits, Math.floor(Math.log10(size)) + 1) }).format(x);
}

/** x as 2.5e-7, of at most so many decimals, none of them a trailing zero. */
const power = (x: number, decimals: number) => x.toExponential(decimals).replace(/\.?0+e/, 'e').replace('e+', 'e');

const mostDigits = 15; // a float64 has no more that mean something

/** How to write the figures of a set: with one number of decimals, the least (at least `least` significant digits of
 *  the greatest) at which values that differ read differently. An axis of 0.9991, 0.9992 does not read 1, 1. Exact ones,
 *  the ticks of an axis, also read as what they are: 2.5 is not 3. */
export function among(values: Iterable<number | null | undefined>, lang: string, least = 3, exact = false): (v: number | null | undefined) => string {
  const finite = [...new Set([...values].filter((v): v is number => typeof v === 'number' && Number.isFinite(v)))];
  const sizes = finite.map(Math.abs).filter((v) => v > 0);
  const greatest = Math.max(...sizes, 0);
  const smallest = Math.min(...sizes, Infinity);
  const exponent = greatest > 0 ? Math.floor(Math.log10(greatest)) : 0;
  const spelled = (write: (v: number) => string) => new Set(finite.map(write)).size === finite.length;
  const faithful = (decimals: number) => !exact || finite.every((v) => Math.abs(Number(v.toFixed(decimals)) - v) <= 1e-9 * greatest);
  const write = (decimals: number) => {
    const f = format(lang, { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
    return (v: number) => f.format(Object.is(v, -0) ? 0 : v);
  };
  const special = (of: (v: number) => string) => (v: number | null | undefined) => odd(v) ?? of(v as number);
  const plain = greatest < 1e9 && (greatest >= 1e-4 || greatest === 0) && (smallest >= 1e-4 || greatest / smallest < 1e4);
  if (plain) {
    const whole = finite.every(Number.isInteger);
    for (let d = whole ? 0 : Math.max(0, least - 1 - exponent); d <= mostDigits; d++) if (whole || (spelled(write(d)) && faithful(d))) return special(write(d));
  }
  const small = (d: number) => (v: number) => (v === 0 ? '0' : power(v, d));
  for (let d = Math.max(0, least - 1); d < mostDigits; d++) if (spelled(small(d)) && (!exact || finite.every((v) => Math.abs(Number(small(d)(v)) - v) <= 1e-9 * greatest))) return special(small(d));
  return special((v) => String(v));
}

export function fixed(v: number | null | undefined, lang: string, digits: number): string {
  return odd(v) ?? format(lang, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(v as number);
}

export function signed(v: number | null | undefined, lang: string, digits: number): string {
  const f = format(lang, { minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: 'exceptZero' });
  return odd(v) ?? f.format(v as number);
}

export function percent(v: number | null | undefined, lang: string): string {
  return odd(v) ?? format(lang, { style: 'percent', maximumFractionDigits: 1 }).format(v as number);
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
  return moment(lang, { dateStyle: 'medium', timeStyle: 'short' }).format(t);
}

/** How to write the times of a set (Unix ms), an axis or a column: what all of them share is left out, seconds and
 *  milliseconds stand where they tell two apart. */
export function timesAmong(times: number[], lang: string): (t: number) => string {
  const days = new Set(times.map((t) => new Date(t).toDateString()));
  const years = new Set(times.map((t) => new Date(t).getFullYear()));
  const day: Intl.DateTimeFormatOptions = days.size < 2 ? {} : { month: 'short', day: 'numeric', ...(years.size > 1 ? { year: 'numeric' } : {}) };
  const clock: Intl.DateTimeFormatOptions[] = [
    ...(days.size > 1 ? [{}] : []),
    { hour: '2-digit', minute: '2-digit' },
    { hour: '2-digit', minute: '2-digit', second: '2-digit' },
    { hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3 },
  ];
  const distinct = new Set(times).size;
  for (const c of clock) {
    const f = moment(lang, { ...day, ...c, hourCycle: 'h23' });
    if (new Set(times.map((t) => f.format(t))).size === distinct || c === clock[clock.length - 1]) return (t) => f.format(t);
  }
  return (t) => dateTime(new Date(t).toISOString(), lang);
}

/** "3 minutes ago"; a date from a month on. */
export function ago(v: string | undefined, lang: string, now: number): string {
  const t = parse(v);
  if (Number.isNaN(t)) return dash;
  const s = (t - now) / 1000;
  const f = distance(lang);
  const size = Math.abs(s);
  if (size < 45) return f.format(0, 'second');
  if (size < 3600) return f.format(Math.round(s / 60), 'minute');
  if (size < 86400) return f.format(Math.round(s / 3600), 'hour');
  if (size < 30 * 86400) return f.format(Math.round(s / 86400), 'day');
  return moment(lang, { dateStyle: 'medium' }).format(t);
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
