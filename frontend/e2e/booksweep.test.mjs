// A sweep in a notebook: its points while they run and when they have ended. Needs bin/triality (or TRIALITY) and Chromium.
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { axeFaults, missing, setUp } from './browser.mjs';

const sample = fileURLToPath(new URL('../../configs/sample/four_class_sample_en.jsonl', import.meta.url));
const work = join(tmpdir(), `triality-booksweep-${process.pid}`);
const cell = (kind, id, body) => `\`\`\`triality ${kind} id=${id}\n${body}\`\`\`\n`;
const book = `---\ntitle: Sweep\nname: sweep\noutput_dir: ${work}\ndevice: cpu\n---\n\n# Sweep\n\n` + [
  cell('base', 'base', `base_model: ${work}/base\nmax_length: 48\ncreate:\n  shape: micro\n  text: ${sample}\n  vocab_size: 512\n  num_train_epochs: 0.1\n`),
  cell('convert', 'rows', `base_model: \${base.model}\ndata:\n  input_path: ${sample}\n  max_length: 48\n`),
  cell('finetune', 'tune', 'base_model: ${base.model}\ndataset: ${rows.dataset}\nmax_length: 48\ntraining:\n  num_train_epochs: 0.05\n  lora_r: 8\n  eval_steps: 1000\n'),
  cell('sweep', 'search', 'of: tune\nkeys:\n  training.lora_r: [4, 8, 16]\nmetric: ${tune.metrics.eval/loss}\ndirection: min\nmethod: halving\nbudget: {key: training.num_train_epochs, min: 0.05, max: 0.2}\n'),
].join('\n');

describe('a sweep in a notebook', { skip: missing, timeout: 240_000 }, () => {
  const { call, onPage } = setUp({ books: { 'sweep.md': book } });

  test('its points come while it runs, and its table says what became of each', () =>
    onPage({}, async (page) => {
      await page.goto('/notebooks/sweep.md');
      const search = page.locator('[data-cell="search"]');
      await search.getByRole('button', { name: 'Run', exact: false }).first().click();
      // While it runs there are the runs of its points, and no verdict.
      await search.locator('tbody tr').first().waitFor({ timeout: 120_000 });
      await search.locator('.verdict').waitFor({ timeout: 120_000 });
      const text = await search.locator('.verdict').innerText();
      assert.match(text, /^Best of 4 looks: /);
      const table = await search.locator('tbody tr').evaluateAll((all) => all.map((r) => [...r.cells].map((c) => c.textContent.trim())));
      assert.equal(table.length, 3);
      assert.match(table[0][0], /best$/);
      assert.deepEqual(table.map((r) => r[4]), ['Finished', 'Stopped', 'Stopped']);
      assert.ok(table.slice(1).every((r) => /place [23] of 3/.test(r[5])), JSON.stringify(table));
      assert.deepEqual(table.map((r) => r[1]).sort(), ['16', '4', '8']);
      assert.ok(table.every((r) => Number.isFinite(Number(r[2]))), JSON.stringify(table));
      assert.ok(Number(table[1][2]) <= Number(table[2][2]), 'the better first');
      // Each point leads to its run, the best to that of the last round.
      assert.equal(await search.locator('tbody th a').count(), 3);
      await search.locator('figure').scrollIntoViewIfNeeded();
      await search.locator('figure .marks path').nth(2).waitFor();
      assert.equal(await search.locator('figure .marks path').count(), 3, 'a line a point, also of the one that is as usual');
      assert.deepEqual(await axeFaults(page), []);
      const runs = (await call('GET', '/runs?limit=100')).items.filter((r) => r.tags?.sweep === 'search');
      assert.equal(runs.length, 4);
      const href = await search.locator('tbody th a').first().getAttribute('href');
      const best = runs.find((r) => href.endsWith(r.id));
      assert.ok(best && Math.abs(best.summary['eval/loss'] - Number(table[0][2])) < 0.01, JSON.stringify(best?.summary));
      await search.locator('tbody th a').first().click();
      await page.getByRole('heading', { level: 1 }).filter({ hasText: 'lora_r' }).waitFor();
    }));

  for (const [locale, colorScheme, width] of [['ja-JP', 'dark', 390]]) {
    test(`axe finds nothing at a sweep (${locale}, ${colorScheme}, ${width})`, () =>
      onPage({ locale, colorScheme, width }, async (page) => {
        await page.goto('/notebooks/sweep.md');
        await page.locator('[data-cell="search"] .verdict').waitFor();
        await page.locator('[data-cell="search"] tbody tr').first().waitFor();
        assert.deepEqual(await axeFaults(page), []);
        assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= width, 'wider than the screen');
      }));
  }
});
