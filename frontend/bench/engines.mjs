// Draws the same lines with uPlot and with ECharts in headless Chromium, in turns, and prints JSON: milliseconds of the clock
// from the data to the pixels, of the page's own processor time (cpu; making the data included), and bytes of the libraries, gzipped.
//   node bench/engines.mjs [ROUNDS]
import { readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { chromium } from 'playwright-core';

const rounds = Number(process.argv[2] ?? 5);
const source = async (path) => readFile(new URL(`../node_modules/${path}`, import.meta.url), 'utf8');
const libraries = { uplot: await source('uplot/dist/uPlot.iife.min.js'), echarts: await source('echarts/dist/echarts.min.js') };
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM_PATH || '/usr/bin/chromium',
  args: ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-background-networking'],
});
const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
const session = await page.context().newCDPSession(page);
await session.send('Performance.enable', { timeDomain: 'threadTicks' });
const cpu = async () => (await session.send('Performance.getMetrics')).metrics.find((m) => m.name === 'TaskDuration').value * 1000;
for (const code of Object.values(libraries)) await page.addScriptTag({ content: code });

const draw = (how) =>
  page.evaluate(async ([engine, lines, points, sampling]) => {
    document.body.textContent = '';
    const box = document.body.appendChild(document.createElement('div'));
    Object.assign(box.style, { width: '1000px', height: '400px' });
    const x = Array.from({ length: points }, (_, i) => i);
    const ys = Array.from({ length: lines }, (_, k) => x.map((i) => 2 * Math.exp((-5 * i) / points) + Math.sin(i * 12.9898 + k) * 0.05));
    const pairs = engine === 'echarts' ? ys.map((y) => y.map((v, i) => [i, v])) : undefined; // the form that each takes
    await new Promise((r) => setTimeout(r, 200));
    const start = performance.now();
    let done;
    if (engine === 'uplot') {
      const chart = new uPlot({ width: 1000, height: 400, scales: { x: { time: false } }, series: [{}, ...ys.map(() => ({ stroke: '#246', points: { show: false } }))] }, [x, ...ys], box);
      done = () => chart.destroy();
    } else {
      const chart = echarts.init(box);
      chart.setOption({ animation: false, xAxis: { type: 'value' }, yAxis: {}, series: pairs.map((data) => ({ type: 'line', showSymbol: false, data, ...(sampling ? { sampling: 'lttb' } : {}) })) });
      done = () => chart.dispose();
    }
    await new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)));
    const took = performance.now() - start;
    done();
    return took;
  }, how);

const cases = [[10, 2000], [100, 2000], [10, 100_000], [1, 1_000_000]];
const ways = { uplot: ['uplot', false], echarts: ['echarts', false], echarts_lttb: ['echarts', true] };
const out = { rounds, gzipped_bytes: Object.fromEntries(Object.entries(libraries).map(([k, v]) => [k, gzipSync(v).length])), draw: [] };
for (const [lines, points] of cases) {
  const row = { lines, points };
  for (const name of Object.keys(ways)) row[name] = { ms: Infinity, cpu: Infinity };
  for (let i = 0; i < rounds; i++) {
    for (const [name, [engine, sampling]] of Object.entries(ways)) {
      const before = await cpu();
      const ms = await draw([engine, lines, points, sampling]);
      const spent = (await cpu()) - before;
      row[name] = { ms: Math.min(row[name].ms, Math.round(ms)), cpu: Math.min(row[name].cpu, Math.round(spent)) };
    }
  }
  out.draw.push(row);
}
console.log(JSON.stringify(out, null, 2));
await browser.close();
