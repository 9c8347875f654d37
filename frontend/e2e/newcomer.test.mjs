// A newcomer's ways through the product: the guided notebook, and the demo from its first run to its report. Once with the mouse and in
// English, once by the keyboard alone and in Japanese, which takes two minutes more and runs with TRIALITY_LONG=1. Needs bin/triality (or TRIALITY), wasm-metrics/dist and Chromium.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { missing, setUp } from './browser.mjs';
import { keyboard, mouse } from './hands.mjs';
import { built, tiny } from './tiny.mjs';
import { words } from './words.mjs';

const own = 'worst_group'; // the metric that is brought along
const unbuilt = existsSync(built(own)) ? false : 'wasm-metrics/dist is not built';

const people = [
  { who: 'with the mouse, in English', locale: 'en-US', hands: mouse, book: 'first.md', seed: 1, heading: 'From rows to a report' },
  { who: 'by the keyboard alone, in Japanese', locale: 'ja-JP', hands: keyboard, book: 'first.ja.md', seed: 2, heading: 'データからレポートまで',
    skip: process.env.TRIALITY_LONG ? false : 'TRIALITY_LONG=1 runs it' },
];

describe('a newcomer', { skip: missing || unbuilt, timeout: 900_000 }, () => {
  const shared = setUp({
    books: (dir) => Object.fromEntries(people.map((p) => [p.book, tiny(dir).notebook(p.book, p.seed)])),
    configs: (dir) => Object.fromEntries(people.map((p) => [`demo-${p.seed}.yaml`, tiny(dir).demo(p.seed)])),
  });
  const { call, onPage } = shared;

  /** Sees a label take other values while what it tells of is under way. */
  async function moves(label, what) {
    const first = await label.getAttribute('aria-label');
    for (let i = 0; i < 400; i++) {
      const now = await label.getAttribute('aria-label');
      if (now !== first) return;
      await new Promise((r) => setTimeout(r, 50));
    }
    assert.fail(`${what} stands still at ${first}`);
  }

  /** Opens a downloaded report without a network, and finds what it must hold. */
  async function offline(page, p, download, holds) {
    const file = `${await download.path()}.html`;
    await download.saveAs(file);
    const context = await page.context().browser().newContext({ offline: true });
    try {
      const reader = await context.newPage();
      const wrong = [];
      reader.on('pageerror', (err) => wrong.push(String(err)));
      reader.on('console', (m) => m.type() === 'error' && wrong.push(m.text()));
      reader.on('request', (r) => /^(file|data|blob):/.test(r.url()) || wrong.push(r.url()));
      await reader.goto(pathToFileURL(file).href);
      await reader.getByRole('heading', { level: 1 }).first().waitFor();
      for (const text of holds) await reader.getByText(text).first().waitFor({ state: 'attached' });
      await reader.locator('canvas, svg').first().waitFor();
      assert.deepEqual(wrong, []);
    } finally {
      await context.close();
    }
  }

  for (const person of people) {
    const t = words(person.locale.slice(0, 2));

    test(`the guided notebook, ${person.who}`, { skip: person.skip }, () =>
      onPage({ locale: person.locale, width: 1440 }, async (page, p) => {
        const hands = person.hands(page);
        const file = join(shared.server.dir, 'books', person.book);
        const text = readFileSync(file, 'utf8');
        const cell = (id) => page.locator(`[data-cell="${id}"]`);
        const states = () => page.locator('[data-cell]').evaluateAll((all) => Object.fromEntries(all.map((c) => [c.dataset.cell, c.querySelector('.chip').textContent.trim()])));
        /** Waits until each cell stands as it must: those named in one state, the others done, and what shows others waiting or not. */
        const stand = async (named, state, waiting = []) => {
          const want = { base: '', rows: '', tune: '', so8t: '', ab: '', mcc: '', report: '', rank: '', curves: '', said: '', lost: '' };
          for (const id of Object.keys(want)) want[id] = t(`book.state.${named.includes(id) ? state : waiting.includes(id) ? 'waits' : 'fresh'}`);
          await page.waitForFunction((w) => Object.entries(w).every(([id, s]) => document.querySelector(`[data-cell="${id}"] .chip`)?.textContent.trim() === s), want, { timeout: 90_000 })
            .catch(async () => assert.deepEqual(await states(), want));
        };
        const runs = async () => (await call('GET', `/runs?limit=100`)).items.filter((r) => r.tags?.book === person.book);

        await page.goto('/guide');
        await page.waitForURL(`**/notebooks/${person.book}`);
        await page.getByRole('heading', { level: 1, name: person.heading }).first().waitFor();
        await stand(['base', 'rows', 'tune', 'so8t', 'ab', 'mcc', 'report'], 'new', ['curves', 'said', 'lost']);

        await hands.press(page.getByRole('button', { name: t('book.runAll') }));
        await cell('tune').locator('.chip').filter({ hasText: t('book.state.running') }).waitFor({ timeout: 60_000 });
        await hands.cell('tune');
        await hands.see(cell('tune').getByRole('figure', { name: 'train/loss' }));
        const curve = cell('tune').getByRole('application', { name: /^train\/loss/ });
        await curve.waitFor();
        await moves(curve, 'the curve of a cell that runs');
        await stand([], 'fresh');
        await cell('curves').locator('canvas').first().waitFor();
        await cell('said').locator('strong').filter({ hasText: /^0\.\d+$/ }).first().waitFor();

        // Another rank: what depends on it is out of date, and the first one has everything back without a run.
        const below = ['tune', 'so8t', 'ab', 'mcc', 'report'];
        const rank = async () => (await hands.cell('rank')).getByRole('combobox');
        await hands.choose(await rank(), '16');
        await stand(below, 'stale', ['curves', 'said', 'lost']);
        await hands.choose(await rank(), '32');
        await stand([], 'fresh');
        assert.equal((await runs()).length, 1);
        await page.locator('.state').filter({ hasText: t('book.saved') }).waitFor();
        assert.equal(readFileSync(file, 'utf8'), text, 'back to the byte');

        // A metric of one's own: its file on the A/B cell.
        const ab = await hands.cell('ab');
        await hands.file(built(own), ab);
        await ab.getByRole('status').filter({ hasText: own }).waitFor();
        await stand(['ab', 'mcc', 'report'], 'stale', ['said', 'lost']);
        await page.locator('.state').filter({ hasText: t('book.saved') }).waitFor();
        const sha = (await call('GET', '/modules')).items.find((m) => m.name === own).sha256;
        const [before, after] = [text.split('\n'), readFileSync(file, 'utf8').split('\n')];
        const added = after.findIndex((l, i) => l !== before[i]);
        assert.match(after[added], new RegExp(`^  - module: ${sha} # ${own} `));
        assert.deepEqual(after.toSpliced(added, 1), before, 'one line more, no other byte');

        await hands.press(page.getByRole('button', { name: t('book.runAll') }));
        await stand([], 'fresh');
        const made = await runs();
        assert.equal(made.length, 2);
        assert.deepEqual(Object.fromEntries(made[0].steps.filter((s) => s.status === 'finished').map((s) => [s.name || s.kind, 1])), { ab: 1, mcc: 1, report: 1 }, 'only that cell and what depends on it ran');

        const report = await hands.cell('report');
        const [download] = await Promise.all([page.waitForEvent('download'), hands.press(report.getByRole('link', { name: t('run.reportDownload') }))]);
        await offline(page, p, download, [own]);
      }));

    test(`from the first run to the report, ${person.who}`, { skip: person.skip }, () =>
      onPage({ locale: person.locale, width: 1440 }, async (page, p) => {
        const hands = person.hands(page);
        const started = async () => {
          await page.waitForURL(/\/runs\/[0-9a-f]+$/);
          return page.url().split('/').at(-1);
        };
        const ended = async () => {
          await page.getByRole('region', { name: t('run.result'), exact: true }).waitFor({ timeout: 90_000 });
          await page.getByText(t('status.finished'), { exact: true }).first().waitFor({ timeout: 90_000 });
        };

        // Run the demo and watch it.
        await page.goto('/');
        await hands.press(page.getByRole('button', { name: t('experiment.newRun') }));
        const dialog = page.getByRole('dialog');
        await dialog.locator(`option[value="demo-${person.seed}"]`).waitFor({ state: 'attached' });
        await hands.choose(dialog.getByLabel(t('newRun.config')), `demo-${person.seed}`);
        await hands.write(dialog.getByLabel(t('newRun.name')), `one ${person.seed}`);
        await hands.press(dialog.getByRole('button', { name: t('newRun.start'), exact: true }));
        const one = await started();
        await hands.press(page.getByRole('main').getByRole('link', { name: t('run.tab.curves') }));
        const curve = page.getByRole('application', { name: /^train\/loss/ });
        await curve.waitFor({ timeout: 60_000 });
        await moves(curve, 'the curve of a run');
        await ended();

        // The same with another rank; what comes before it is taken over.
        await hands.press(page.getByRole('button', { name: t('run.duplicate'), exact: true }));
        const yaml = dialog.getByLabel(t('newRun.yaml'));
        await hands.write(yaml, (await yaml.inputValue()).replace('lora_r: 32', 'lora_r: 4'));
        await hands.write(dialog.getByLabel(t('newRun.name')), `two ${person.seed}`);
        await dialog.getByText(/lora_r: 4/).first().waitFor();
        await hands.press(dialog.getByRole('button', { name: t('newRun.start'), exact: true }));
        await page.waitForFunction((was) => /\/runs\//.test(location.pathname) && !location.pathname.endsWith(was), one);
        const two = await started();
        await ended();
        assert.deepEqual((await call('GET', `/runs/${two}`)).steps.filter((s) => s.status === 'reused').map((s) => s.kind), ['base', 'convert']);

        // Compare the two by their rows.
        const experiment = (await call('GET', `/runs/${two}`)).experiment_id;
        await page.goto(`/experiments/${experiment}`);
        await page.getByRole('link', { name: `two ${person.seed}`, exact: true }).waitFor();
        await hands.select(page.getByRole('main'), [`one ${person.seed}`, `two ${person.seed}`]);
        await hands.press(page.getByRole('link', { name: t('experiment.compare'), exact: true }));
        await page.getByRole('heading', { level: 1, name: t('compare.title') }).waitFor();
        await page.locator('.lead').first().waitFor(); // the verdict
        await hands.choose(page.getByRole('combobox', { name: t('ab.show'), exact: true }), 'all');
        await hands.press(page.locator('#samples ~ ul.card > li').first().getByRole('button').first());
        await page.locator('.history li').nth(1).waitFor();

        // Bring a metric, and try it on a run.
        await page.goto('/modules');
        const place = page.getByRole('group', { name: t('modules.upload') });
        await place.waitFor();
        await hands.file(built('brier'), place);
        await hands.press(page.getByRole('link', { name: /^brier / }).first());
        await hands.press(page.getByRole('link', { name: t('modules.tryOn', { name: `two ${person.seed}` }) }));
        const part = page.getByRole('region', { name: t('try.title') });
        await page.waitForFunction(() => document.activeElement?.tagName === 'SELECT');
        await hands.press(part.getByRole('button', { name: t('try.run') }));
        await part.getByRole('status').filter({ hasText: 'brier' }).filter({ hasText: '✓' }).waitFor();

        // The report, with the network off.
        await page.goto(`/runs/${two}`);
        const link = page.getByRole('main').getByRole('link', { name: t('run.reportDownload') });
        await link.waitFor();
        const [download] = await Promise.all([page.waitForEvent('download'), hands.press(link)]);
        await offline(page, p, download, ['brier']);
      }));
  }
});
