// A panel as a file: SVG, PNG drawn from it, CSV.
import { printable } from '../lib/printable.ts';
import { bands, markPath, marks, polylines, scalesOf, type Frame } from './paint.ts';
import type { Scene } from './plot.ts';
import { ticks } from './range.ts';

/** What every kind of panel gives besides its drawing. */
export interface Exports {
  svg: () => string | undefined;
  csv: () => string;
  table: () => Table;
}

/** The accessible form of a chart. */
export interface Table {
  head: string[];
  /** The first cell of a row names it. */
  rows: string[][];
  note?: string;
}

// A file is not reached by keepPrintable.
const escape = (s: string) => printable(s).replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]!);
const n = (v: number) => String(Math.round(v * 100) / 100);

/** A field of CSV; one that a spreadsheet would take for a formula is told to be text. */
export function field(v: string | number | undefined): string {
  let s = v === undefined ? '' : String(v);
  if (typeof v === 'string' && /^[=+\-@\t\r]/.test(s)) s = `'${s}`;
  return /[",\n\r]/.test(s) ? `"${s.replaceAll('"', '""')}"` : s;
}

export const csvOf = (rows: (string | number | undefined)[][]): string => rows.map((r) => r.map(field).join(',')).join('\n') + '\n';

/** A line plot as an SVG that stands alone, with its legend below. */
export function lineSVG(s: Scene, title: string, xName: string, colours: { ink: string; grid: string; ground: string }, width = 900, height = 480): string {
  const legend = s.traces.filter((t, i) => s.traces.findIndex((o) => o.name === t.name) === i).slice(0, 60);
  const columns = Math.max(1, Math.floor(width / 220));
  const below = 34 + 16 * Math.ceil(legend.length / columns);
  const f: Frame = { left: 70, top: 34, width: width - 84, height: height - 34, x: s.x, y: s.y, log: s.log, logX: s.logX };
  const scales = scalesOf(f);
  const out: string[] = [];
  const text = (x: number, y: number, anchor: string, words: string, extra = '') =>
    out.push(`<text x="${n(x)}" y="${n(y)}" text-anchor="${anchor}" fill="${colours.ink}"${extra}>${escape(words)}</text>`);
  const path = (points: number[], close = false) => {
    let d = '';
    for (let i = 0; i < points.length; i += 2) d += `${i ? 'L' : 'M'}${n(points[i]!)} ${n(points[i + 1]!)}`;
    return close ? d + 'Z' : d;
  };
  text(8, 20, 'start', title, ' font-size="14" font-weight="600"');
  const ys = ticks(s.y[0], s.y[1], 6, s.log);
  s.yText(ys).forEach((words, i) => {
    const y = scales.Y(ys[i]!);
    out.push(`<line x1="${f.left}" x2="${f.left + f.width}" y1="${n(y)}" y2="${n(y)}" stroke="${colours.grid}"/>`);
    text(f.left - 6, y + 4, 'end', words);
  });
  const xs = ticks(s.x[0], s.x[1], 8, s.logX);
  s.xText(xs).forEach((words, i) => text(scales.X(xs[i]!), height + 16, 'middle', words));
  text(f.left + f.width, height + 32, 'end', xName);
  out.push(`<clipPath id="plot"><rect x="${f.left}" y="${f.top}" width="${f.width}" height="${f.height}"/></clipPath><g clip-path="url(#plot)" fill="none" stroke-linejoin="round">`);
  for (const t of s.traces) for (const b of bands(t, f, scales)) out.push(`<path d="${path(b, true)}" fill="${t.ink.colour}" fill-opacity=".16"/>`);
  for (const t of s.traces) {
    const dash = t.ink.dash.length ? ` stroke-dasharray="${t.ink.dash.join(' ')}"` : '';
    const lines = (values: number[], style: string) => {
      for (const run of polylines(t.x, values, f, scales)) {
        if (run.length > 2) out.push(`<path d="${path(run)}" stroke="${t.ink.colour}"${dash} ${style}/>`);
        else out.push(`<circle cx="${n(run[0]!)}" cy="${n(run[1]!)}" r="2" fill="${t.ink.colour}"/>`);
      }
    };
    if (t.raw) lines(t.raw, 'stroke-width="1" stroke-opacity=".3"');
    lines(t.y, 'stroke-width="1.5"');
    for (const m of marks(t, s.outside.includes(t.key), f, scales)) {
      const { path: strokes, fill } = markPath(m);
      for (const p of strokes) out.push(`<path d="${path(p, fill)}" ${fill ? `fill="${t.ink.colour}"` : `stroke="${t.ink.colour}" stroke-width="1.75"`}/>`);
    }
  }
  out.push('</g>');
  legend.forEach((t, i) => {
    const [x, y] = [8 + (i % columns) * 220, height + 50 + 16 * Math.floor(i / columns)];
    const dash = t.ink.dash.length ? ` stroke-dasharray="${t.ink.dash.join(' ')}"` : '';
    out.push(`<line x1="${x}" x2="${x + 22}" y1="${y - 4}" y2="${y - 4}" stroke="${t.ink.colour}" stroke-width="2"${dash}/>`);
    text(x + 28, y, 'start', t.name.length > 32 ? t.name.slice(0, 31) + '…' : t.name);
  });
  const h = height + below + 12;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${h}" viewBox="0 0 ${width} ${h}" font-family="system-ui, sans-serif" font-size="11"><rect width="100%" height="100%" fill="${colours.ground}"/>${out.join('')}</svg>`;
}

/** A drawing of the page as an SVG that stands alone: variables of the style sheet by their values. */
export function standalone(svg: SVGSVGElement, title: string): string {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const css = getComputedStyle(svg);
  const { width, height } = svg.getBoundingClientRect();
  const top = 30;
  copy.removeAttribute('class');
  copy.querySelectorAll('[data-ui]').forEach((el) => el.remove());
  const inner = copy.innerHTML.replace(/var\((--[\w-]+)\)/g, (_, name: string) => escape(css.getPropertyValue(name).trim()));
  const ink = css.getPropertyValue('--ink').trim();
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height + top}" viewBox="0 0 ${width} ${height + top}" font-family="system-ui, sans-serif" font-size="11"><rect width="100%" height="100%" fill="${css.getPropertyValue('--surface').trim()}"/><text x="8" y="20" font-size="14" font-weight="600" fill="${ink}">${escape(title)}</text><g transform="translate(0 ${top})">${inner}</g></svg>`;
}

/** The picture at twice its size. */
export async function pngOf(svg: string): Promise<Blob> {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [2 * image.naturalWidth, 2 * image.naturalHeight];
  canvas.getContext('2d')!.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) => canvas.toBlob((b) => (b ? resolve(b) : reject(new Error('the picture is empty'))), 'image/png'));
}

/** Hands the browser a file. */
export function save(name: string, data: Blob): void {
  const url = URL.createObjectURL(data);
  const a = document.createElement('a');
  a.href = url;
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export const fileName = (title: string, ending: string): string => `${title.replaceAll(/[^\p{L}\p{N}._-]+/gu, '_') || 'panel'}.${ending}`;
