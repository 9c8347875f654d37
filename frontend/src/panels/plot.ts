// A line plot: uPlot for axes, cursor and selection, with the lines drawn here, since each has its own x.
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { bands, markPath, marks, polylines, scalesOf, type Frame } from './paint.ts';
import { ticks } from './range.ts';
import { lastAt } from './series.ts';
import type { Trace } from './traces.ts';

export interface Scene {
  traces: Trace[];
  x: [number, number];
  y: [number, number];
  log: boolean;
  logX: boolean;
  /** Keys of the lines that leave the y range. */
  outside: string[];
  highlight: string;
  xText: (ticks: number[]) => string[];
  yText: (ticks: number[]) => string[];
  /** Plots whose x means the same share a crosshair. */
  sync: string;
}

export interface Hover {
  x: number;
  left: number;
  top: number;
  /** The pointer is over this plot, not over another one that shares the crosshair. */
  own: boolean;
}

export interface PlotEvents {
  zoom: (from: number, to: number) => void;
  reset: () => void;
  hover: (h: Hover | null) => void;
}

const font = (size: number) => `${size}px ${getComputedStyle(document.documentElement).fontFamily || 'sans-serif'}`;
const moves = new Set(['mousemove', 'mouseenter', 'mouseleave']); // a drag is of one plot

export class Plot {
  #el: HTMLElement;
  #on: PlotEvents;
  #u: uPlot | undefined;
  #dots: HTMLCanvasElement | undefined;
  #scene: Scene | undefined;
  #made = '';
  #own = false;

  constructor(el: HTMLElement, on: PlotEvents) {
    this.#el = el;
    this.#on = on;
  }

  draw(scene: Scene, theme: string): void {
    this.#scene = scene;
    const made = `${scene.log} ${scene.logX} ${scene.sync} ${theme}`;
    if (this.#made !== made || !this.#u) {
      this.#u?.destroy();
      this.#u = this.#make(scene);
      this.#made = made;
      return;
    }
    const u = this.#u;
    const { x, y } = u.scales;
    if (x!.min === scene.x[0] && x!.max === scene.x[1] && y!.min === scene.y[0] && y!.max === scene.y[1]) u.redraw(false, false);
    else this.#scale(u, scene);
  }

  #scale(u: uPlot, s: Scene): void {
    u.batch(() => {
      u.setScale('x', { min: s.x[0], max: s.x[1] });
      u.setScale('y', { min: s.y[0], max: s.y[1] });
    });
  }

  resize(): void {
    const { clientWidth: width, clientHeight: height } = this.#el;
    if (this.#u && width > 0 && height > 0 && (this.#u.width !== width || this.#u.height !== height)) this.#u.setSize({ width, height });
  }

  destroy(): void {
    this.#u?.destroy();
    this.#u = undefined;
  }

  /** Puts the crosshair at an x, for the keyboard; null takes it away. */
  point(x: number | null): void {
    const u = this.#u;
    if (!u) return;
    this.#own = true;
    u.setCursor(x === null ? { left: -10, top: -10 } : { left: u.valToPos(x, 'x'), top: u.over.clientHeight / 2 });
    if (x === null) this.#own = false;
  }

  frame(): Frame | undefined {
    const [u, s] = [this.#u, this.#scene];
    if (!u || !s) return undefined;
    const { left, top, width, height } = u.bbox;
    return { left, top, width, height, x: s.x, y: s.y, log: s.log, logX: s.logX };
  }

  /** Each line's value at an x of the plot, the nearest to a height (CSS px) first. */
  near(x: number, top: number): { trace: Trace; i: number; y: number; distance: number }[] {
    const s = this.#scene;
    const u = this.#u;
    if (!s || !u) return [];
    const out = [];
    for (const trace of s.traces) {
      if (!trace.x.length) continue;
      const i = nearest(trace.x, x);
      // A line that has ended or not begun is not at the crosshair.
      const gap = Math.abs(trace.x[i]! - x);
      const pitch = Math.max(Math.abs((trace.x[i + 1] ?? trace.x[i]!) - trace.x[i]!), Math.abs(trace.x[i]! - (trace.x[i - 1] ?? trace.x[i]!)));
      if (gap > pitch && gap > (s.x[1] - s.x[0]) / 50) continue;
      const y = trace.y[i]!;
      const at = Number.isFinite(y) ? u.valToPos(y, 'y') : Infinity;
      out.push({ trace, i, y, distance: Math.abs(at - top) });
    }
    return out.sort((a, b) => (a.distance === b.distance ? 0 : a.distance - b.distance));
  }

  #make(s: Scene): uPlot {
    const css = getComputedStyle(this.#el);
    const ink = css.getPropertyValue('--ink-3').trim();
    const grid = css.getPropertyValue('--grid').trim() || css.getPropertyValue('--line').trim();
    const axis: uPlot.Axis = { stroke: ink, font: font(11), ticks: { show: false }, grid: { stroke: grid, width: 1 }, gap: 4 };
    const self = () => this.#scene!;
    const u = new uPlot(
      {
        width: Math.max(60, this.#el.clientWidth),
        height: Math.max(60, this.#el.clientHeight),
        padding: [8, 10, 0, 2],
        legend: { show: false },
        scales: {
          x: { time: false, auto: false, distr: s.logX ? 3 : 1, range: () => self().x },
          y: { auto: false, distr: s.log ? 3 : 1, range: () => self().y },
        },
        axes: [
          { ...axis, grid: { show: false }, size: 22,
            splits: (u) => ticks(self().x[0], self().x[1], Math.max(2, Math.min(8, Math.floor(u.over.clientWidth / 80))), self().logX),
            values: (_, v) => self().xText(v) },
          { ...axis,
            splits: (u) => ticks(self().y[0], self().y[1], Math.max(2, Math.min(6, Math.floor(u.over.clientHeight / 26))), self().log),
            values: (_, v) => self().yText(v),
            size: (_, v) => Math.max(30, ...(v ?? []).map((t) => 6.4 * t.length + 12)) },
        ],
        series: [{}, { show: true, paths: () => null, points: { show: false } }],
        cursor: {
          y: false,
          points: { show: false },
          drag: { x: true, y: false, setScale: false, dist: 4 },
          sync: { key: `triality ${s.sync}`, setSeries: false, scales: ['x', null], filters: { pub: (type) => moves.has(type), sub: (type) => moves.has(type) } },
          bind: {
            dblclick: () => () => {
              this.#on.reset();
              return null;
            },
          },
        },
        hooks: {
          ready: [(u) => this.#overlay(u)],
          draw: [(u) => this.#paint(u)],
          setCursor: [(u) => this.#cursor(u)],
          setSelect: [(u) => this.#select(u)],
        },
      },
      [[0, 1], [0, 1]],
      this.#el,
    );
    this.#scale(u, s);
    return u;
  }

  #overlay(u: uPlot): void {
    this.#dots = document.createElement('canvas');
    this.#dots.className = 'dots';
    this.#dots.style.cssText = 'position:absolute;inset:0;width:100%;height:100%;pointer-events:none';
    u.over.append(this.#dots);
    u.over.addEventListener('mouseenter', () => (this.#own = true));
    u.over.addEventListener('mouseleave', () => (this.#own = false));
  }

  #select(u: uPlot): void {
    const { left, width } = u.select;
    if (width < 4) return;
    const [from, to] = [u.posToVal(left, 'x'), u.posToVal(left + width, 'x')];
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.#on.zoom(from, to);
  }

  #cursor(u: uPlot): void {
    const { left = -1, top = -1 } = u.cursor;
    const dots = this.#dots;
    const s = this.#scene;
    if (!dots || !s) return;
    const ratio = devicePixelRatio;
    const [w, h] = [u.over.clientWidth, u.over.clientHeight];
    if (dots.width !== w * ratio || dots.height !== h * ratio) [dots.width, dots.height] = [w * ratio, h * ratio];
    const ctx = dots.getContext('2d')!;
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.clearRect(0, 0, w, h);
    if (left < 0) return this.#on.hover(null);
    const x = u.posToVal(left, 'x');
    if (s.traces.length <= 60) {
      for (const n of this.near(x, top)) {
        if (!Number.isFinite(n.distance)) continue;
        const y = u.valToPos(n.y, 'y');
        if (y < 0 || y > h) continue;
        ctx.beginPath();
        ctx.arc(u.valToPos(n.trace.x[n.i]!, 'x'), y, 3, 0, 7);
        ctx.fillStyle = n.trace.ink.colour;
        ctx.fill();
      }
    }
    this.#on.hover({ x, left: left + u.over.offsetLeft, top: top + u.over.offsetTop, own: this.#own });
  }

  #paint(u: uPlot): void {
    const s = this.#scene;
    const f = this.frame();
    if (s && f) paintCanvas(u.ctx, s, f, devicePixelRatio);
  }
}

function nearest(xs: number[], x: number): number {
  const i = lastAt(xs, x);
  if (i < 0) return 0;
  return i + 1 < xs.length && xs[i + 1]! - x < x - xs[i]! ? i + 1 : i;
}

function follow(ctx: CanvasRenderingContext2D, points: number[]): void {
  ctx.moveTo(points[0]!, points[1]!);
  for (let i = 2; i < points.length; i += 2) ctx.lineTo(points[i]!, points[i + 1]!);
}

function paintCanvas(ctx: CanvasRenderingContext2D, s: Scene, f: Frame, ratio: number): void {
  const scales = scalesOf(f);
  ctx.save();
  ctx.beginPath();
  ctx.rect(f.left, f.top, f.width, f.height);
  ctx.clip();
  ctx.lineJoin = 'round';
  const stroke = (t: Trace, ys: number[], width: number, alpha: number) => {
    ctx.globalAlpha = alpha;
    ctx.lineWidth = width * ratio;
    ctx.strokeStyle = ctx.fillStyle = t.ink.colour;
    ctx.setLineDash(t.ink.dash.map((d) => d * ratio));
    ctx.beginPath();
    // Corners of a line with more points than pixels are not seen, and round ones are most of its cost.
    ctx.lineJoin = t.x.length > f.width ? 'bevel' : 'round';
    for (const run of polylines(t.x, ys, f, scales)) {
      if (run.length > 2) follow(ctx, run);
      else {
        ctx.fillRect(run[0]! - 2 * ratio, run[1]! - 2 * ratio, 4 * ratio, 4 * ratio); // a value between gaps
      }
    }
    ctx.stroke();
  };
  const lit = s.traces.some((t) => t.key === s.highlight);
  const order = lit ? [...s.traces.filter((t) => t.key !== s.highlight), ...s.traces.filter((t) => t.key === s.highlight)] : s.traces;
  const fade = (t: Trace) => (lit && t.key !== s.highlight ? 0.22 : 1);
  for (const t of order) {
    ctx.fillStyle = t.ink.colour;
    ctx.globalAlpha = 0.16 * fade(t);
    for (const b of bands(t, f, scales)) {
      ctx.beginPath();
      follow(ctx, b);
      ctx.fill();
    }
  }
  for (const t of order) if (t.raw) stroke(t, t.raw, 1, 0.3 * fade(t));
  for (const t of order) stroke(t, t.y, t.key === s.highlight && lit ? 2.5 : 1.5, fade(t));
  ctx.setLineDash([]);
  for (const t of order) {
    ctx.globalAlpha = fade(t);
    ctx.strokeStyle = ctx.fillStyle = t.ink.colour;
    ctx.lineWidth = 1.75 * ratio;
    for (const m of marks(t, s.outside.includes(t.key), f, scales)) {
      const { path, fill } = markPath(m);
      ctx.beginPath();
      for (const p of path) follow(ctx, p);
      if (fill) ctx.fill();
      else ctx.stroke();
    }
  }
  ctx.restore();
}
