// Measures the table of runs in headless Chromium against a server that holds many runs, and prints JSON:
//   node bench/runs.mjs http://127.0.0.1:8080 [EXPERIMENT_ID]
// Without an id, the experiment with the most runs. Times are in milliseconds; bytes are what came over the wire.
import { chromium } from 'playwright-core';

const [base, wanted] = process.argv.slice(2);
if (!base) throw new Error('usage: node bench/runs.mjs URL [EXPERIMENT_ID]');
const get = async (path) => (await fetch(base + path)).json();
const experiments = (await get('/api/v1/experiments?limit=500')).items;
const chosen = wanted ? experiments.find((e) => e.id === wanted) : experiments.sort((a, b) => (b.runs ?? 0) - (a.runs ?? 0))[0];
if (!chosen) throw new Error('no such experiment');

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM_PATH || '/usr/bin/chromium',
  args: ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-background-networking'],
});
const round = (v) => Math.round(v * 10) / 10;
const quantile = (all, q) => round([...all].sort((a, b) => a - b)[Math.min(all.length - 1, Math.floor(q * all.length))] ?? 0);
const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'en-US' });
const page = await context.newPage();
const session = await context.newCDPSession(page);
await session.send('Network.enable');
// Processor time of the page's own thread, which other programs on the machine do not add to.
await session.send('Performance.enable', { timeDomain: 'threadTicks' });
const spent = async () => (await session.send('Performance.getMetrics')).metrics.find((m) => m.name === 'TaskDuration').value * 1000;
let bytes = 0;
session.on('Network.loadingFinished', (e) => (bytes += e.encodedDataLength));
// Long tasks are told by the browser itself, from before the page's first script.
await page.addInitScript(() => {
  globalThis.tasks = [];
  new PerformanceObserver((l) => globalThis.tasks.push(...l.getEntries().map((e) => e.duration))).observe({ type: 'longtask', buffered: true });
});
const rowsShown = () => [...document.querySelectorAll('tr[data-line] th')].length > 10;

const interactive = [];
for (let i = 0; i < 5; i++) {
  bytes = 0;
  const start = performance.now();
  await page.goto(`${base}/experiments/${chosen.id}`, { waitUntil: 'commit' });
  await page.waitForFunction(rowsShown);
  interactive.push(performance.now() - start);
}
await page.waitForTimeout(500);
const pageBytes = bytes;

/** Frames while the table is scrolled steadily, and the tasks over 50 ms meanwhile. */
const scroll = async (pixels) => {
  const before = await spent();
  const got = await page.evaluate(async (step) => {
    const el = document.querySelector('.runs-grid');
    globalThis.tasks.length = 0;
    const frames = [];
    let last = performance.now();
    for (let i = 0; i < 240; i++) {
      el.scrollTop += step;
      await new Promise(requestAnimationFrame);
      const now = performance.now();
      frames.push(now - last);
      last = now;
    }
    return { frames, tasks: [...globalThis.tasks], top: el.scrollTop };
  }, pixels);
  return { ...got, cpu: ((await spent()) - before) / got.frames.length };
};

/** From a click or key to the first row that differs, as the page itself sees it. */
const until = (act) =>
  page.evaluate(async (name) => {
    const first = () => document.querySelector('tr[data-line="0"]')?.textContent + (document.querySelector('.line [role=status]')?.textContent ?? '');
    const was = first();
    const start = performance.now();
    if (name === 'sort') document.querySelectorAll('thead .sort')[2].click();
    else {
      const box = document.querySelector('input[type=search]');
      box.value = name;
      box.dispatchEvent(new InputEvent('input', { bubbles: true }));
    }
    while (first() === was && performance.now() - start < 10_000) await new Promise(requestAnimationFrame);
    return performance.now() - start;
  }, act);

const slow = await scroll(84);
const fast = await scroll(2000);
await page.evaluate(() => (document.querySelector('.runs-grid').scrollTop = 0));
await page.waitForFunction(rowsShown);
const jump = await page.evaluate(async () => {
  const el = document.querySelector('.runs-grid');
  const line = Math.floor((el.scrollHeight / 28) * 0.75);
  const start = performance.now();
  el.scrollTop = line * 28;
  while (!document.querySelector(`tr[data-line="${line}"] th`) && performance.now() - start < 10_000) await new Promise(requestAnimationFrame);
  return { line, ms: performance.now() - start };
});
await page.evaluate(() => (document.querySelector('.runs-grid').scrollTop = 0));
const [sorts, filters] = [[], []];
for (let i = 0; i < 6; i++) sorts.push(await until('sort'));
for (const f of ['status = finished', 'status = failed', 'duration > 1s', '']) filters.push(await until(f));

console.log(JSON.stringify({
  experiment: chosen.name, runs: chosen.runs,
  interactive: { least: round(Math.min(...interactive)), median: quantile(interactive, 0.5) }, page_bytes: pageBytes,
  scroll: { frame_median: quantile(slow.frames, 0.5), frame_p95: quantile(slow.frames, 0.95), cpu_per_frame: round(slow.cpu), long_tasks: slow.tasks.length, longest_task: round(Math.max(0, ...slow.tasks)) },
  scroll_fast: { frame_median: quantile(fast.frames, 0.5), frame_p95: quantile(fast.frames, 0.95), cpu_per_frame: round(fast.cpu), long_tasks: fast.tasks.length, longest_task: round(Math.max(0, ...fast.tasks)), reached: Math.round(fast.top / 28) },
  jump: { row: jump.line, ms: round(jump.ms) },
  sort: { least: round(Math.min(...sorts)), median: quantile(sorts, 0.5) }, filter: { least: round(Math.min(...filters)), median: quantile(filters, 0.5) },
  rows_drawn: await page.locator('tr[data-line]').count(),
}, null, 2));
await browser.close();
