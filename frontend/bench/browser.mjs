// Measures the pages in headless Chromium against a server that holds much, and prints JSON:
//   node bench/browser.mjs URL MANY_RUNS CURVES HUNDRED
// The three are ids of experiments, which `triality bench browser` makes. Times are milliseconds by the clock; "cpu" are
// milliseconds of processor time of the page's own thread, which other programs on the machine do not add to; script, style and
// layout are parts of it, and layouts, styles and nodes are how many were made. Bytes are what came over the wire. Long tasks,
// those over 50 ms by the clock, are those of the load with the longest, from its first script to half a second after it is
// ready; for scrolling, those between the first frame and the last.
import { chromium } from 'playwright-core';

const [base, many, curves, hundred] = process.argv.slice(2);
if (!hundred) throw new Error('usage: node bench/browser.mjs URL MANY_RUNS CURVES HUNDRED');
const json = async (method, path, body) => {
  const res = await fetch(`${base}/api/v1${path}`, { method, headers: { 'Content-Type': 'application/json' }, body: body && JSON.stringify(body) });
  if (!res.ok) throw new Error(`${method} ${path}: ${res.status} ${await res.text()}`);
  return res.json().catch(() => undefined);
};
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM_PATH || '/usr/bin/chromium',
  args: ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-background-networking'],
});
const round = (v) => Math.round(v * 10) / 10;
const quantile = (all, q) => round([...all].sort((a, b) => a - b)[Math.min(all.length - 1, Math.floor(q * all.length))] ?? 0);
const summary = (all) => ({ least: round(Math.min(...all)), median: quantile(all, 0.5), greatest: round(Math.max(...all)) });

/** A page in a context of its own, with what it spends and transfers counted from before its first script. */
async function opened(width = 1440, height = 900) {
  const context = await browser.newContext({ viewport: { width, height }, locale: 'en-US' });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const session = await context.newCDPSession(page);
  await session.send('Network.enable');
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  const o = {
    page, bytes: 0,
    cpu: async () => (await o.spent()).cpu,
    spent: async () => {
      const all = Object.fromEntries((await session.send('Performance.getMetrics')).metrics.map((m) => [m.name, m.value]));
      const ms = (name) => round(all[name] * 1000);
      return { cpu: all.TaskDuration * 1000, script: ms('ScriptDuration'), style: ms('RecalcStyleDuration'), layout: ms('LayoutDuration'), layouts: all.LayoutCount, styles: all.RecalcStyleCount };
    },
    close: () => context.close(),
  };
  session.on('Network.loadingFinished', (e) => (o.bytes += e.encodedDataLength));
  await page.addInitScript(() => {
    globalThis.tasks = [];
    new PerformanceObserver((l) => globalThis.tasks.push(...l.getEntries().map((e) => e.duration))).observe({ type: 'longtask', buffered: true });
  });
  return o;
}
const tasks = async (o) => {
  const all = await o.page.evaluate(() => globalThis.tasks.splice(0));
  return { long_tasks: all.length, longest_task: round(Math.max(0, ...all)) };
};

/** Opens an address until ready holds, some times, each in a fresh page with an empty cache. The first load is said beside the
 *  others: nobody has asked the server for the same before. first: what is ready before. */
async function load(path, ready, arg, { times = 3, height = 900, first } = {}) {
  const [wall, cpu, firsts, all] = [[], [], [], []];
  let bytes, parts;
  for (let i = 0; i < times; i++) {
    const o = await opened(1440, height);
    const start = performance.now();
    await o.page.goto(base + path, { waitUntil: 'commit' });
    if (first) {
      await o.page.waitForFunction(ready, first, { polling: 'raf' });
      firsts.push(performance.now() - start);
    }
    await o.page.waitForFunction(ready, arg, { polling: 'raf' });
    wall.push(performance.now() - start);
    parts = await o.spent();
    cpu.push(parts.cpu);
    await o.page.waitForTimeout(500);
    all.push(await tasks(o));
    bytes = o.bytes;
    await o.close();
  }
  const { script, style, layout, layouts, styles } = parts;
  return {
    ms: { ...summary(wall), first_load: round(wall[0]) }, ...(first ? { first_ms: summary(firsts) } : {}), cpu: summary(cpu), of_which: { script, style, layout, layouts, styles },
    ...all.sort((a, b) => b.longest_task - a.longest_task)[0], bytes,
  };
}
/** The table has a row, with its run, on every line in view. */
const rows = () => {
  const all = document.querySelectorAll('tr[data-line] th').length;
  return all > 10 && all >= (document.querySelector('.runs-grid').clientHeight - 28) / 28;
};
/** So many panels of lines are drawn, with all of their lines: each says its lines' last values, and waits for none. */
const drawn = ({ panels, lines }) => [...document.querySelectorAll('.lines')].filter((el) => el.ariaBusy === 'false' && Number(el.dataset.lines) >= lines && !/: \. /.test(el.ariaLabel)).length >= panels;

const out = { table: await load(`/experiments/${many}`, rows, undefined, { times: 5 }) };

const o = await opened();
await o.page.goto(`${base}/experiments/${many}?layout=table`);
await o.page.waitForFunction(rows);
await o.page.waitForTimeout(1000);
for (const [name, pixels] of [['scroll', 84], ['scroll_fast', 2000]]) {
  await tasks(o);
  const before = await o.spent();
  const got = await o.page.evaluate(async (step) => {
    const el = document.querySelector('.runs-grid');
    const frames = [];
    let nodes = 0;
    const count = (list) => { for (const n of list) nodes += 1 + (n.getElementsByTagName?.('*').length ?? 0); };
    const seen = new MutationObserver((all) => all.forEach((m) => count(m.addedNodes)));
    seen.observe(el, { childList: true, subtree: true });
    let last = performance.now();
    for (let i = 0; i < 240; i++) {
      el.scrollTop += step;
      await new Promise(requestAnimationFrame);
      const now = performance.now();
      frames.push(now - last);
      last = now;
    }
    seen.disconnect();
    return { frames, nodes, reached: Math.round(el.scrollTop / 28) };
  }, pixels);
  const after = await o.spent();
  const each = (k) => round((after[k] - before[k]) / got.frames.length);
  out[name] = {
    frame_median: quantile(got.frames, 0.5), frame_p95: quantile(got.frames, 0.95),
    cpu_per_frame: each('cpu'), of_which: { script: each('script'), style: each('style'), layout: each('layout'), layouts: each('layouts'), styles: each('styles'), nodes_added: round(got.nodes / got.frames.length) },
    ...(await tasks(o)), row_reached: got.reached,
  };
}
await o.page.evaluate(() => (document.querySelector('.runs-grid').scrollTop = 0));
await o.page.waitForFunction(rows);
/** From a click or a text to the first row that differs, as the page itself sees it. */
const until = (name) =>
  o.page.evaluate(async (name) => {
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
  }, name);
const timed = async (names) => {
  await tasks(o);
  const [wall, cpu] = [[], []];
  for (const n of names) {
    const before = await o.cpu();
    wall.push(await until(n));
    cpu.push((await o.cpu()) - before);
    await o.page.waitForTimeout(300);
  }
  return { ms: summary(wall), cpu: summary(cpu), ...(await tasks(o)) };
};
out.sort = await timed(Array(6).fill('sort'));
out.filter = await timed(['param_00 = 3', 'group_0/metric_00 > 0.9', 'param_02 = adam', 'run 7', '']);
out.jump = await o.page.evaluate(async () => {
  const el = document.querySelector('.runs-grid');
  const line = Math.floor((el.scrollHeight / 28) * 0.75);
  const start = performance.now();
  el.scrollTop = line * 28;
  while (!document.querySelector(`tr[data-line="${line}"] th`) && performance.now() - start < 10_000) await new Promise(requestAnimationFrame);
  return { row: line, ms: Math.round(performance.now() - start) };
});
await o.close();

// 24 panels are all in view of a tall window; panels out of sight load nothing.
out.panels_24 = await load(`/experiments/${curves}?layout=charts`, drawn, { panels: 24, lines: 10 }, { height: 4200, first: { panels: 1, lines: 10 } });

// A table draws 20 runs by itself; a view may draw more.
const found = await json('POST', '/runs/search', { experiments: [hundred], limit: 100 });
const view = await json('POST', '/views', { name: `bench ${Date.now()}`, experiment: hundred, body: { layout: 'charts', shown: found.items.map((r) => r.id) } });
out.hundred_runs = await load(`/experiments/${hundred}?view=${view.id}`, drawn, { panels: 1, lines: 100 }, { first: { panels: 1, lines: 1 } });
await fetch(`${base}/api/v1/views/${view.id}`, { method: 'DELETE' });

// Ten metrics of one run under way, twenty points a second each.
const live = await json('POST', '/runs', { experiment_id: curves, name: 'live', status: 'running' });
const names = Array.from({ length: 10 }, (_, i) => `live/${'abcdefghij'[i]}`);
let step = 0;
const send = (n) => {
  const at = step;
  step += n;
  return json('POST', `/runs/${live.id}/metrics`, Object.fromEntries(names.map((m) => [m, Array.from({ length: n }, (_, i) => ({ step: at + i, time: Date.now(), value: Math.sin((at + i) / 50) }))])));
};
await send(500);
const w = await opened(1440, 1600);
await w.page.goto(`${base}/runs/${live.id}`);
await w.page.waitForFunction(drawn, { panels: 1, lines: 1 });
await w.page.waitForTimeout(2000);
await tasks(w);
const spent = await w.cpu();
const from = performance.now();
let sent = 0;
while (performance.now() - from < 10_000) {
  const next = from + sent * 500;
  await send(10);
  sent++;
  await new Promise((r) => setTimeout(r, Math.max(0, next + 500 - performance.now())));
}
const took = performance.now() - from;
out.arriving = {
  points_per_second: Math.round((sent * 100) / (took / 1000)), panels: await w.page.locator('.lines').count(),
  share_of_core: Math.round((1000 * ((await w.cpu()) - spent)) / took) / 1000, ...(await tasks(w)),
};
await w.close();
await fetch(`${base}/api/v1/runs/${live.id}?purge=true`, { method: 'DELETE' });

out.bytes = {};
for (const [name, path] of [['experiments', '/'], ['all_runs', '/runs'], ['table', `/experiments/${many}`], ['run', `/runs/${found.items[0].id}`], ['queue', '/queue'], ['metrics', '/modules'], ['notebooks', '/notebooks']]) {
  const p = await opened();
  await p.page.goto(base + path, { waitUntil: 'networkidle' }).catch(() => {}); // a stream of events stays open
  await p.page.waitForTimeout(500);
  out.bytes[name] = p.bytes;
  await p.close();
}
console.log(JSON.stringify(out, null, 2));
await browser.close();
