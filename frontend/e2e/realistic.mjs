// A tracker as a team has it, for the documentation's pictures: the demo twice and the guided notebook are really run; the sweeps of
// larger models are logged, with curves that a fixed generator makes.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { curves } from './fixtures.mjs';
import { makeSweep } from './panels-data.mjs';
import { client } from './server.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Texts with the shipped files' addresses below a folder, as the server runs them there. */
const placed = (text, dir) =>
  text
    .replaceAll('configs/sample/', join(root, 'configs/sample/'))
    .replaceAll('wasm-metrics/dist/', join(root, 'wasm-metrics/dist/'))
    .replaceAll('work/', join(dir, 'work/'));

/** Notebooks and configurations for startServer, with their addresses below a folder. */
export async function shipped() {
  const read = (name) => readFile(join(root, 'configs', name), 'utf8');
  const books = { 'first.md': await read('notebooks/first.md'), 'first.ja.md': await read('notebooks/first.ja.md'), 'so8t.md': await read('notebooks/so8t.md'), 'sweep.md': await read('notebooks/sweep.md'), 'judge.md': await read('notebooks/judge.md') };
  const demo = await read('demo.yaml');
  return {
    books: (dir) => Object.fromEntries(Object.entries(books).map(([name, text]) => [name, placed(text, dir)])),
    configs: (dir) => ({ 'demo.yaml': placed(demo, dir) }),
  };
}

/** Fills the tracker; gives the ids that pictures need. */
export async function fill(server) {
  const call = client(server.url);
  async function job(what, body) {
    const started = await call('POST', '/jobs', body);
    for (;;) {
      const run = await call('GET', `/runs/${started.id}`);
      if (run.status === 'finished') return run;
      if (!['queued', 'running'].includes(run.status)) throw new Error(`${what}: ${run.error ?? run.status}`);
      await new Promise((r) => setTimeout(r, 500));
    }
  }
  const demo = (await call('GET', '/configs')).items[0].yaml;
  const run = await job('the demo', { config: demo, name: 'lora_r=32' });
  const other = await job('the demo with another rank', { config: demo.replace('lora_r: 32', 'lora_r: 8').replace('lora_alpha: 64', 'lora_alpha: 16'), name: 'lora_r=8' });
  const text = await readFile(join(server.dir, 'books/first.md'), 'utf8');
  await job('the first notebook', { config: text, name: 'first.md', book: 'first.md' });
  await job('the sweep', { config: await readFile(join(server.dir, 'books/sweep.md'), 'utf8'), name: 'sweep.md', book: 'sweep.md' });
  for (const name of ['mcc', 'worst_group', 'cost_risk', 'log_loss', 'cohen_kappa']) {
    await call('POST', '/modules', await readFile(join(root, 'wasm-metrics/dist', `${name}.wasm`)), 'application/wasm');
  }
  const kappa = (await call('GET', '/modules')).items.find((m) => m.name === 'cohen_kappa').sha256;
  await call('POST', `/runs/${run.id}/abtest/metrics`, { module: kappa, params: { weights: 'linear' } });

  const gate = await makeSweep(call, { name: 'gate-qwen2.5-0.5b', steps: 800 });
  await call('PATCH', `/experiments/${gate.experiment}`, { folder: 'gate', description: 'Ranks and rates on the internal set, 24,000 rows', primary_metric: 'eval/macro_f1' });
  const long = await makeSweep(call, { name: 'gate-qwen2.5-1.5b', steps: 400 });
  await call('PATCH', `/experiments/${long.experiment}`, { folder: 'gate', description: 'The best settings of 0.5b, on the larger model' });
  const ja = (await call('POST', '/experiments', { name: 'ja-refusals', folder: 'language', description: '日本語の拒否例を増やした実験' })).id;
  for (let seed = 1; seed <= 5; seed++) {
    const r = await call('POST', '/runs', { experiment_id: ja, name: `seed ${seed}`, params: { seed: String(seed), 'data.ja_share': String(0.1 * seed) }, status: 'finished', started_at: new Date(Date.parse('2026-11-20T09:00:00Z') + seed * 3_600_000).toISOString(), ended_at: new Date(Date.parse('2026-11-20T09:20:00Z') + seed * 3_600_000).toISOString() });
    await call('POST', `/runs/${r.id}/metrics`, curves(seed));
  }
  await call('PATCH', `/runs/${run.id}`, { notes: 'First run on the sample. **B allows a quarter of the unsafe requests**: more data before anything else.', tags: { stage: 'baseline' } });
  const report = await call('POST', '/reports', {
    title: 'Does fine-tuning help on the sample?',
    body: { language: 'en', blocks: [{ kind: 'prose', text: 'Two ranks, one question: is B safe to ship?' }, { kind: 'verdict', run: run.id }, { kind: 'runs', runs: [run.id, other.id] }] },
  });
  return { run, other, gate, report: report.id, module: kappa };
}
