// ECharts, loaded when the first chart shows. Everything a chart says goes through canvas or elements
// made here: no HTML strings, so the page needs no inline styles.
import * as echarts from 'echarts/core';
import { LineChart } from 'echarts/charts';
import { AriaComponent, DataZoomComponent, GridComponent, LegendComponent, TooltipComponent } from 'echarts/components';
import { CanvasRenderer } from 'echarts/renderers';
import langJA from 'echarts/i18n/langJA-obj.js';
import { printable } from './printable.ts';

echarts.use([LineChart, GridComponent, TooltipComponent, LegendComponent, DataZoomComponent, AriaComponent, CanvasRenderer]);
echarts.registerLocale('JA', langJA);

export interface LineInput {
  series: { name: string; points: [number, number | null][]; smoothed?: [number, number | null][] }[];
  log: boolean;
  xName: string;
  xTime: boolean;
  /** Text of an x value in axis and tooltip. */
  xText: (x: number) => string;
  yText: (y: number | null) => string;
  legend: boolean;
  label: string;
}

// Okabe–Ito, without its yellow and black, which fail on one of the two backgrounds.
const light = ['#17637c', '#c2591b', '#1d8a5f', '#a84a86', '#3f6fb0', '#8a6d00', '#6b5bb5', '#b0302a'];
const dark = ['#6cc0d8', '#eb9a63', '#6cc795', '#dc92c0', '#86aee6', '#d9bd5a', '#aea3ec', '#f08a82'];

export const palette = (isDark: boolean): string[] => (isDark ? dark : light);

interface TipParam {
  seriesName: string;
  color: string;
  value: [number, number | null];
}

function tip(params: TipParam[], o: LineInput): HTMLElement {
  const box = document.createElement('div');
  box.className = 'tip';
  const add = (parent: HTMLElement, tag: string, cls: string, text = '') => {
    const el = document.createElement(tag);
    el.className = cls;
    el.textContent = text;
    parent.append(el);
    return el;
  };
  const seen = new Map<string, TipParam>();
  for (const p of params) if (!seen.has(p.seriesName) || p.value[1] !== null) seen.set(p.seriesName, p);
  const first = params[0];
  if (first) add(box, 'div', 'tip-head', `${o.xName} ${o.xText(first.value[0])}`);
  for (const p of [...seen.values()].slice(0, 14)) {
    const row = add(box, 'div', 'tip-row');
    add(row, 'span', 'tip-dot').style.background = p.color;
    add(row, 'span', 'tip-name', p.seriesName);
    add(row, 'span', 'tip-value', o.yText(p.value[1]));
  }
  return box;
}

/** The option of a line chart; nulls are gaps. */
export function lineOption(input: LineInput, isDark: boolean): echarts.EChartsCoreOption {
  // A canvas is not reached by keepPrintable.
  const o = { ...input, series: input.series.map((s) => ({ ...s, name: printable(s.name) })) };
  const css = getComputedStyle(document.documentElement);
  const v = (name: string) => css.getPropertyValue(name).trim();
  const colours = palette(isDark);
  const axis = {
    axisLine: { lineStyle: { color: v('--line-strong') } },
    axisTick: { show: false },
    axisLabel: { color: v('--ink-3'), hideOverlap: true, fontSize: 11 },
    splitLine: { lineStyle: { color: v('--line') } },
  };
  const line = (name: string, data: [number, number | null][], i: number, faint: boolean) => ({
    type: 'line',
    name,
    data,
    connectNulls: false,
    showSymbol: data.filter((p) => p[1] !== null).length < 2 || alone(data),
    symbolSize: 5,
    lineStyle: { width: faint ? 1 : 1.8, opacity: faint ? 0.3 : 1 },
    itemStyle: { color: colours[i % colours.length], opacity: faint ? 0.3 : 1 },
    emphasis: { disabled: true },
    silent: faint,
    tooltip: { show: !faint },
    z: faint ? 1 : 2,
  });
  return {
    animation: false,
    textStyle: { fontFamily: css.fontFamily, fontSize: 12 },
    aria: { enabled: true, label: { description: o.label } },
    grid: { left: 4, right: 16, top: o.legend ? 34 : 12, bottom: 4, outerBoundsMode: 'same', outerBoundsContain: 'axisLabel' },
    legend: o.legend
      ? { type: 'scroll', top: 0, left: 0, right: 0, icon: 'circle', itemWidth: 9, itemHeight: 9,
          textStyle: { color: v('--ink-2'), fontSize: 12 }, pageTextStyle: { color: v('--ink-2') },
          pageIconColor: v('--accent'), pageIconInactiveColor: v('--line-strong'),
          data: [...new Set(o.series.map((s) => s.name))] }
      : undefined,
    tooltip: {
      trigger: 'axis',
      confine: true,
      transitionDuration: 0,
      backgroundColor: v('--surface'),
      borderColor: v('--line-strong'),
      textStyle: { color: v('--ink') },
      axisPointer: { lineStyle: { color: v('--line-strong') } },
      formatter: (params: unknown) => tip((Array.isArray(params) ? params : [params]) as TipParam[], o),
    },
    dataZoom: matchMedia('(pointer: fine)').matches
      ? [{ type: 'inside', filterMode: 'none', zoomOnMouseWheel: 'ctrl', moveOnMouseMove: true, moveOnMouseWheel: false,
           preventDefaultMouseMove: false }]
      : [],
    xAxis: {
      ...axis,
      type: o.xTime ? 'time' : 'value',
      min: 'dataMin',
      max: 'dataMax',
      splitLine: { show: false },
      axisLabel: { ...axis.axisLabel, showMinLabel: true, ...(o.xTime ? {} : { formatter: o.xText }) },
    },
    yAxis: {
      ...axis,
      type: o.log ? 'log' : 'value',
      scale: true,
      axisLine: { show: false },
      axisLabel: { ...axis.axisLabel, formatter: (y: number) => o.yText(y) },
    },
    series: o.series.flatMap((s, i) =>
      s.smoothed ? [line(s.name, s.points, i, true), line(s.name, s.smoothed, i, false)] : [line(s.name, s.points, i, false)],
    ),
  };
}

/** Whether a value stands between two gaps, where a line would not show it. */
function alone(data: [number, number | null][]): boolean {
  if (data.length > 300) return false;
  return data.some((p, i) => p[1] !== null && (data[i - 1]?.[1] ?? null) === null && (data[i + 1]?.[1] ?? null) === null);
}

export function draw(el: HTMLElement, lang: string): echarts.ECharts {
  return echarts.init(el, null, { renderer: 'canvas', locale: lang === 'ja' ? 'JA' : 'EN' });
}

export type { ECharts } from 'echarts/core';
