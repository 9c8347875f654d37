// Runs as a sweep makes them, for the tests and pictures of panels: several ranks and rates, one diverged, one with NaN.
import { random } from './fixtures.mjs';

const gauss = (r) => Math.sqrt(-2 * Math.log(r() + 1e-9)) * Math.cos(2 * Math.PI * r());

export const ranks = [4, 8, 16, 32];
export const rates = [2e-4, 1e-4, 5e-5];

/** Curves of one run: loss falls to a floor that its rank sets. */
export function sweepCurves({ rank, lr, seed, steps = 1200, diverges = false, nanFrom = Infinity }) {
  const r = random(seed * 7919 + rank);
  const start = Date.parse('2026-11-22T09:00:00Z') + seed * 3_600_000;
  const floor = 0.52 - 0.06 * Math.log2(rank) + 400 * Math.abs(lr - 1.2e-4);
  const batch = {};
  const put = (name, step, value) => (batch[name] ??= []).push({ step, time: start + step * 380 + Math.floor(r() * 40), value });
  let drift = 0;
  const evalEvery = Math.max(1, Math.floor(steps / 60));
  const layerEvery = Math.max(1, Math.floor(steps / 200));
  for (let step = 0; step < steps; step++) {
    drift = 0.9 * drift + 0.03 * gauss(r);
    const t = step / steps;
    let loss = floor + 1.9 * Math.exp(-t / 0.14) + drift * (0.4 + Math.exp(-t / 0.2)) + 0.03 * gauss(r);
    if (diverges && t > 0.45) loss += 0.4 * Math.exp((t - 0.45) * 22);
    const value = step >= nanFrom ? 'NaN' : Math.max(0.01, loss);
    put('train/loss', step, value);
    put('train/grad_norm', step, 6 * Math.exp(-t / 0.12) + 0.5 + 0.2 * Math.abs(gauss(r)) + (diverges && t > 0.45 ? Math.exp((t - 0.45) * 24) : 0));
    put('train/learning_rate', step, lr * Math.min(1, t / 0.06) * 0.5 * (1 + Math.cos(Math.PI * t)));
    put('train/epoch', step, 3 * t);
    if (step % evalEvery === 0 || step === steps - 1) {
      const f1 = 0.9 - floor * 0.35 - 0.45 * Math.exp(-t / 0.18) + 0.008 * gauss(r) - (diverges && t > 0.5 ? 0.3 * (t - 0.5) : 0);
      put('eval/macro_f1', step, f1);
      put('eval/accuracy', step, f1 + 0.02 + 0.004 * gauss(r));
      put('eval/loss', step, step >= nanFrom ? 'NaN' : loss + 0.08);
      put('eval/ece', step, 0.04 + 0.14 * Math.exp(-t / 0.3) + 0.004 * Math.abs(gauss(r)));
    }
    if (step % layerEvery === 0) for (let layer = 0; layer < 4; layer++) {
      put(`so8t/layers.${layer}.orthogonality_error`, step, 10 ** (-8.4 + 0.4 * layer + 1.6 * (1 - Math.exp(-t / 0.3)) + 0.05 * gauss(r)));
    }
  }
  return batch;
}

/** Fills a tracker with a sweep; gives the experiment's id and the runs'. `long` steps of one run make it a long one. */
export async function makeSweep(call, { name = 'rank-sweep', steps = 1200, long = 0 } = {}) {
  const experiment = (await call('POST', '/experiments', { name })).id;
  const runs = [];
  let seed = 0;
  for (const rank of ranks) {
    for (const lr of rates) {
      seed++;
      const diverges = rank === 32 && lr === 2e-4;
      const nan = rank === 8 && lr === 2e-4;
      const run = await call('POST', '/runs', {
        experiment_id: experiment, name: `lora_r=${rank} · lr=${lr.toExponential()}`, status: nan ? 'failed' : 'finished',
        started_at: new Date(Date.parse('2026-11-22T09:00:00Z') + seed * 3_600_000).toISOString(),
        ended_at: new Date(Date.parse('2026-11-22T09:12:00Z') + seed * 3_600_000).toISOString(),
        params: { lora_r: String(rank), learning_rate: String(lr), warmup_ratio: ['0.03', '0.06', '0.1'][seed % 3], seed: String(1 + (seed % 2)), optimizer: seed % 4 ? 'adamw' : 'adamw_8bit', base: 'qwen2.5-0.5b' },
      });
      runs.push(run.id);
      const count = seed === 1 && long ? long : steps;
      const batch = sweepCurves({ rank, lr, seed, steps: count, diverges, nanFrom: nan ? Math.floor(count * 0.57) : Infinity });
      for (const [metric, points] of Object.entries(batch)) {
        for (let i = 0; i < points.length; i += 20_000) await call('POST', `/runs/${run.id}/metrics`, { [metric]: points.slice(i, i + 20_000) });
      }
    }
  }
  return { experiment, runs };
}
