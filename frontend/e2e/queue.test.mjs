// The queue, a run's attempts and its log in a real browser, with real workers. Needs bin/triality (or TRIALITY)
// and Chromium.
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { accessibilityFaults, missing, setUp } from './browser.mjs';

/** Workers of a server: its child processes that run this binary. */
const workers = (pid) =>
  readdirSync(`/proc/${pid}/task`).flatMap((t) => readFileSync(`/proc/${pid}/task/${t}/children`, 'utf8').split(' ').filter(Boolean).map(Number));
const noProc = existsSync(`/proc/self/task/${process.pid}/children`) ? false : 'no /proc that lists children';

describe('queue', { skip: missing, timeout: 240_000 }, () => {
  const shared = setUp();
  const { call, onPage } = shared;

  afterEach(async () => {
    for (const run of (await call('GET', '/queue')).items) {
      await call('POST', `/runs/${run.id}/cancel`).catch(() => {}); // it may have ended just now
      await ended(run.id);
    }
  });

  /** A training that does not end while a test runs. */
  const long = () => `name: queued
output_dir: ${join(shared.server.dir, 'work')}
device: cpu
data:
  input_path: ${fileURLToPath(new URL('../../configs/sample/four_class_*.jsonl', import.meta.url))}
  format_type: instruction
  max_length: 64
model:
  base_model: ${join(shared.server.dir, 'work/base')}
  create:
    shape: micro
    vocab_size: 512
    num_train_epochs: 1
training:
  num_train_epochs: 500
  learning_rate: 1.0e-3
  save_steps: 5
  lora_r: 4
  lora_alpha: 8
`;
  const broken = () => `name: queued\noutput_dir: ${join(shared.server.dir, 'broken')}\ndata:\n  input_path: ${join(shared.server.dir, 'nothing.jsonl')}\nmodel:\n  base_model: ${join(shared.server.dir, 'no model')}\n`;
  const submit = (name, priority, config = long()) => call('POST', '/jobs', { config, name, priority });
  const logPath = (id) => join(shared.server.dir, 'jobs', `${id}.log`);

  async function until(what, fn) {
    for (const end = Date.now() + 60_000; Date.now() < end; await new Promise((r) => setTimeout(r, 100))) {
      const got = await fn();
      if (got) return got;
    }
    throw new Error(`not within a minute: ${what}`);
  }
  const ended = (id) => until(`run ${id} has ended`, async () => ['failed', 'interrupted', 'finished'].includes((await call('GET', `/runs/${id}`)).status));

  test('an empty queue says how to start a run', () =>
    onPage({}, async (page) => {
      await page.goto('/');
      await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Queue' }).click();
      await page.getByRole('heading', { level: 1, name: 'Queue' }).waitFor();
      await page.getByText('Nothing runs and nothing waits').waitFor();
      await page.getByText('triality run configs/demo.yaml').waitFor();
      assert.equal(await page.getByRole('link', { name: 'Queue' }).getAttribute('aria-current'), 'page');
      assert.deepEqual(await accessibilityFaults(page), []);
    }));

  test('the queue shows what runs and what waits as it changes; a worker that dies goes on; a run is cancelled and resumed', { skip: noProc }, () =>
    onPage({}, async (page) => {
      await page.goto('/queue');
      await page.getByText('Nothing runs and nothing waits').waitFor();
      const first = await submit('first', 9);
      const low = await submit('low', -1);
      const high = await submit('high', 7);
      const running = page.getByRole('region', { name: 'Under way' }).getByRole('listitem');
      const waiting = page.getByRole('region', { name: 'Waiting' }).getByRole('listitem');
      await running.getByRole('link', { name: 'first' }).waitFor();
      await running.getByText('Attempt 1').waitFor();
      await waiting.nth(1).waitFor();
      const order = async () => (await waiting.getByRole('link').allInnerTexts()).filter((n) => n !== 'queued');
      assert.deepEqual(await order(), ['high', 'low']);
      await waiting.nth(0).getByText('Priority 7').waitFor();
      await waiting.nth(0).getByText('Waits for the processor, which the run first has').waitFor();
      await waiting.nth(1).getByText('Waits behind 1 of higher priority').waitFor();
      await running.getByText('finetune').waitFor({ timeout: 60_000 });
      await running.getByRole('progressbar', { name: 'finetune' }).waitFor();
      assert.deepEqual(await accessibilityFaults(page), []);

      // A worker that is killed: the same run goes on by itself.
      const [worker] = workers(shared.server.pid);
      process.kill(worker, 'SIGKILL');
      await running.getByText('Attempt 2').waitFor({ timeout: 30_000 });
      await running.getByText(/^A worker of an earlier attempt died: killed \(signal 9\)/).waitFor();
      assert.equal(await running.getByRole('link', { name: 'first' }).count(), 1);

      // On the pages of runs.
      await page.goto(`/runs/${first.id}`);
      await page.getByRole('status').getByText(/^A worker of an earlier attempt died/).waitFor();
      assert.match(await page.locator('dl.meta').innerText(), /Attempt\s*2/);
      await page.getByRole('region', { name: 'Log' }).getByText(/^attempt 2, /).waitFor();
      await page.goto(`/runs/${low.id}`);
      await page.getByText('Waits behind 1 of higher priority').waitFor();
      await page.getByText('No worker has written anything yet.').waitFor();
      await page.getByText('Its steps are known when it starts.').waitFor();
      assert.equal(await page.getByText('A client logs').count(), 0);

      // Cancelled in the queue: what waits leaves it at once, what runs stops and is listed below.
      await page.goto('/queue');
      for (const name of ['low', 'high', 'first']) {
        await page.getByRole('button', { name: `Cancel ${name}` }).click();
        await page.getByRole('dialog').getByRole('button', { name: 'Cancel the run' }).click();
        await page.getByRole('dialog').waitFor({ state: 'detached' });
      }
      const done = page.getByRole('region', { name: 'Ended lately' }).getByRole('listitem');
      await done.filter({ hasText: 'first' }).getByText(/^Cancelled; it goes on from its newest checkpoint/).waitFor({ timeout: 40_000 });
      await done.filter({ hasText: 'high' }).getByText('Cancelled while it waited').waitFor();
      await page.getByText('Nothing runs and nothing waits').waitFor();

      // Resumed there: the same run, with its next attempt.
      await page.getByRole('button', { name: 'Resume first' }).click();
      await running.getByText('Attempt 3').waitFor({ timeout: 20_000 });
      assert.equal((await call('GET', '/runs')).items.length, 3);
      await call('POST', `/runs/${first.id}/cancel`);
      await ended(first.id);
      assert.equal((await call('GET', `/runs/${high.id}`)).job.attempt, 0);
    }));

  test('Resume on a run page continues the same run and cannot be pressed twice', () =>
    onPage({}, async (page) => {
      const run = await submit('broken', 0, broken());
      await ended(run.id);
      const before = (await call('GET', '/runs')).items.length;
      await page.goto(`/runs/${run.id}`);
      await page.getByText('It ended before its first step.').waitFor();
      const asked = [];
      let answer;
      await page.route('**/resume', (route) => {
        asked.push(route.request().url());
        answer = () => route.continue();
      });
      const button = page.getByRole('button', { name: /^Resum/ });
      await button.dblclick();
      assert.equal(await button.isDisabled(), true);
      assert.equal(await button.innerText(), 'Resuming …');
      await button.evaluate((b) => b.click());
      answer();
      await page.locator('dl.meta').getByText('2', { exact: true }).waitFor();
      assert.equal(asked.length, 1);
      assert.match(page.url(), new RegExp(`/runs/${run.id}$`));
      assert.equal((await call('GET', '/runs')).items.length, before);
      await page.getByText('This run failed').waitFor();
      assert.equal(await button.isDisabled(), false);
    }));

  test('a run whose end is known before its cancelling is answered can be cancelled again when it has been resumed', () =>
    onPage({}, async (page) => {
      const run = await submit('late answer');
      await page.goto(`/runs/${run.id}`);
      await page.getByRole('region', { name: 'Log' }).getByText(/^attempt 1, /).waitFor({ timeout: 30_000 });
      const resume = page.getByRole('button', { name: 'Resume' });
      await page.route('**/cancel', async (route) => {
        const response = await route.fetch();
        await resume.waitFor({ timeout: 40_000 });
        await route.fulfill({ response });
      });
      const cancel = page.getByRole('button', { name: 'Cancel the run' });
      await cancel.click();
      await page.getByRole('dialog').getByRole('button', { name: 'Cancel the run' }).click();
      await page.getByRole('dialog').waitFor({ state: 'detached', timeout: 50_000 });
      await resume.click();
      await cancel.waitFor();
      assert.equal(await cancel.isEnabled(), true);
    }));

  test('a log of 100,000 lines is followed, searched, filtered and downloaded', () =>
    onPage({}, async (page, p) => {
      const run = await submit('long log', 0, broken());
      await ended(run.id);
      const lines = (from, to) => Array.from({ length: to - from }, (_, i) => `time=2026-11-30T09:00:00.000Z level=INFO msg="step" step=${from + i} note=<b>&amp;\u202e`).join('\n') + '\n';
      writeFileSync(logPath(run.id), `first line ${'x'.repeat(300)} far right\n` + lines(1, 99_999) + 'last line\n');
      await page.goto(`/runs/${run.id}`);
      const view = page.getByRole('region', { name: 'Log', exact: true }).last();
      const count = page.getByText('100,000 lines');
      await count.waitFor();
      await view.getByText('last line').waitFor(); // at its end
      assert.ok((await view.locator('.line').count()) < 100);
      await view.getByText('step=99998 note=<b>&amp;\\u202e').waitFor(); // escaped
      assert.deepEqual(await accessibilityFaults(page), []);

      // Every part of it is reached, and drawn within a few frames.
      const frames = await view.evaluate(async (el) => {
        const waits = [];
        const frame = () => new Promise((r) => requestAnimationFrame(r));
        for (let i = 0; i <= 200; i++) {
          el.scrollTop = (el.scrollHeight * i) / 200;
          const from = performance.now();
          await frame();
          await frame();
          waits.push(performance.now() - from);
          const seen = el.getBoundingClientRect();
          const rows = [...el.querySelectorAll('.line')].map((r) => r.getBoundingClientRect());
          if (!rows.some((r) => r.top <= seen.top + 20) || !rows.some((r) => r.bottom >= seen.bottom - 20)) throw new Error(`a gap at ${i}`);
        }
        return waits.sort((a, b) => a - b);
      });
      console.log(`two frames while scrolling 100,000 lines: median ${frames[100].toFixed(1)} ms, worst ${frames[200].toFixed(1)} ms`);

      // Search: count, next and previous, all around; what stands far right is brought into view.
      const search = page.getByRole('searchbox', { name: 'Search the log' });
      await search.fill('STEP=9999');
      await page.getByText('10 of 10 lines that match').waitFor();
      await search.press('Enter');
      await page.getByText('1 of 10 lines that match').waitFor();
      await view.locator('.current').getByText('step=9999').waitFor();
      await page.getByRole('button', { name: 'Previous' }).click();
      await page.getByText('10 of 10 lines that match').waitFor();
      await view.locator('.current mark').waitFor();
      await page.getByLabel('Only lines that match').check();
      await page.waitForFunction(() => document.querySelectorAll('.line').length === 10);
      await view.locator('.current mark').waitFor();
      await page.getByLabel('Only lines that match').uncheck();
      await search.fill('far right');
      await view.locator('.current mark').waitFor();
      const [mark, box] = [await view.locator('.current mark').boundingBox(), await view.boundingBox()];
      assert.ok(mark.x >= box.x && mark.x + mark.width <= box.x + box.width, json([mark, box]));
      await search.fill('no such words');
      await page.getByText('No line matches').waitFor();
      await search.fill('');

      // The link gives the file.
      const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download the log' }).click()]);
      assert.equal(download.suggestedFilename(), 'long log.log');
      assert.equal(readFileSync(await download.path(), 'utf8'), readFileSync(logPath(run.id), 'utf8'));
    }));

  test('a log grows on the page while the run goes on: its end is followed until one scrolls up, and a new file is read anew', () =>
    onPage({}, async (page) => {
      const run = await submit('follow');
      await until('the log', () => existsSync(logPath(run.id)));
      const lines = (name, n) => Array.from({ length: n }, (_, i) => `${name} ${i}\n`).join('');
      appendFileSync(logPath(run.id), lines('early', 300));
      await page.goto(`/runs/${run.id}`);
      const view = page.getByRole('region', { name: 'Log', exact: true }).last();
      await view.getByText('early 299', { exact: true }).waitFor();
      const follow = page.getByRole('button', { name: 'Follow the end' });
      assert.equal(await follow.getAttribute('aria-pressed'), 'true');
      appendFileSync(logPath(run.id), lines('more', 300));
      await view.getByText('more 299', { exact: true }).waitFor();
      assert.equal(await follow.getAttribute('aria-pressed'), 'true');
      await view.hover();
      await page.mouse.wheel(0, -3000);
      await page.waitForFunction(() => document.querySelector('[aria-pressed]').ariaPressed === 'false');
      const at = await view.evaluate((el) => el.scrollTop);
      appendFileSync(logPath(run.id), lines('late', 300));
      await page.getByRole('searchbox', { name: 'Search the log' }).fill('late 2');
      await page.getByText(/111 lines/).waitFor();
      await page.getByRole('searchbox', { name: 'Search the log' }).fill('');
      await view.evaluate((el, to) => (el.scrollTop = to), at);
      appendFileSync(logPath(run.id), lines('latest', 10));
      await page.waitForTimeout(2500);
      assert.equal(await view.evaluate((el) => el.scrollTop), at);
      await follow.click();
      await view.getByText('latest 9', { exact: true }).waitFor();

      // As the server does when a file is full.
      renameSync(logPath(run.id), logPath(run.id) + '.1');
      writeFileSync(logPath(run.id), lines('second file', 3));
      await view.getByText('second file 2', { exact: true }).waitFor();
      writeFileSync(logPath(run.id) + '.1', lines('second file', 3));
      writeFileSync(logPath(run.id), lines('third file', 900));
      await view.getByText('third file 899', { exact: true }).waitFor();
      await page.getByText('903 lines').waitFor();
      await call('POST', `/runs/${run.id}/cancel`);
      await ended(run.id);
    }));

  test('the pages of the queue and of a job fit a phone, in Japanese too', () =>
    onPage({ width: 390, height: 844, locale: 'ja-JP' }, async (page) => {
      const job = (await call('GET', '/runs')).items.find((r) => r.name === 'long log');
      for (const [path, title] of [['/queue', '待ち行列'], [`/runs/${job.id}`, 'long log']]) {
        await page.goto(path);
        await page.getByRole('heading', { level: 1, name: title }).waitFor();
        await page.waitForTimeout(800);
        const [content, view] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
        assert.deepEqual([content, view], [390, 390], path);
        assert.deepEqual(await accessibilityFaults(page), [], path);
      }
      await page.goto('/queue');
      await page.getByText('待機中に中止されました').first().waitFor();
      await page.getByText(/^中止されました。再開すると/).first().waitFor();
    }));
});

const json = (v) => JSON.stringify(v);
