// The list of runs on the server's search: what is found, ordered, paged and kept in the address.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { missing, setUp } from './browser.mjs';

describe('the list of runs', { skip: missing, timeout: 240_000 }, () => {
  const { call, onPage } = setUp();
  const runs = 230;
  let experiment, other;

  before(async () => {
    experiment = (await call('POST', '/experiments', { name: 'many' })).id;
    other = (await call('POST', '/experiments', { name: 'other' })).id;
    const make = async (i) => {
      const started_at = new Date(Date.UTC(2026, 0, 1) + i * 60_000).toISOString();
      const run = await call('POST', '/runs', {
        experiment_id: experiment, name: `run ${i}`, status: i % 10 ? 'finished' : 'failed', started_at,
        ended_at: new Date(Date.parse(started_at) + 1000 * i).toISOString(), params: { lr: ['0.001', '1e-4'][i % 2], same: 'x' },
      });
      // The best run is the oldest; one diverged.
      await call('POST', `/runs/${run.id}/metrics`, { 'eval/f1': [{ step: 1, time: 1, value: i === 5 ? 'NaN' : 0.9986 - i / 1000 }] });
    };
    for (let i = 0; i < runs; i += 10) await Promise.all(Array.from({ length: Math.min(10, runs - i) }, (_, k) => make(i + k)));
  });

  const names = (page) => page.locator('tbody td.name').allInnerTexts();
  const open = async (page, query = '') => {
    await page.goto(`/experiments/${experiment}${query}`);
    await page.locator('tbody tr').first().waitFor();
  };

  test('the best of all runs leads the list, not the best of those that are loaded, and what diverged comes last', () =>
    onPage({}, async (page) => {
      await open(page);
      await page.getByRole('columnheader', { name: 'eval/f1' }).getByRole('button').click();
      await page.waitForFunction(() => document.querySelector('tbody td.name')?.textContent === 'run 0');
      assert.match((await page.locator('tbody tr').first().innerText()), /0\.9986/);
      for (let rows = 100; rows < runs; rows = Math.min(rows + 100, runs)) {
        await page.getByRole('button', { name: /more/ }).click();
        await page.waitForFunction((n) => document.querySelectorAll('tbody tr').length > n, rows);
      }
      const all = await names(page);
      assert.equal(new Set(all).size, runs);
      assert.equal(all.at(-1), 'run 5');
      assert.match(await page.locator('tbody tr').last().innerText(), /NaN/);
    }));

  test('the example in the filter box finds runs, and a short name, words, OR and quotes do', () =>
    onPage({}, async (page, p) => {
      p.expect(/Failed to load resource.*400/);
      await open(page);
      const box = page.getByLabel('Filter runs');
      const hint = await box.getAttribute('placeholder');
      const shown = (n) => page.getByText(`${n} of ${runs} shown`).waitFor();
      assert.match(hint, /eval\/f1 >= 0\.\d+ · lr = \S+ · NOT status = failed/);
      for (const example of hint.split(' · ').slice(1)) {
        await box.fill(example);
        await page.waitForFunction(() => !/^0 of/.test(document.querySelector('p[role=status]')?.textContent.trim() ?? ''));
        await page.waitForTimeout(300);
        assert.ok(await page.locator('tbody tr').count(), example);
      }
      for (const [filter, n] of [
        ['eval/f1 > 0.9', 98], ['status = failed', 23], ['lr=0.001', 115], ['lr = 0.0001', 115], ['"run 22"', 11], ['run AND name = "run 7"', 1],
        ['name = "run 7" OR name = "run 8"', 2], ['NOT status = failed f1 > 0.99', 7], ['started < 2026-01-01T00:10', 10],
      ]) {
        await box.fill(filter);
        await shown(n);
      }
      await box.fill('eval/f1 >');
      await page.getByText('at character 10: want a value').waitFor();
      await box.fill('eval/fl > 0.9');
      await page.getByText('No run here has eval/fl. Did you mean metrics.eval/f1?').waitFor();
    }));

  test('Back, forward and a reload keep filter, order, rows and place', () =>
    onPage({}, async (page) => {
      await open(page);
      await page.getByLabel('Filter runs').fill('status = finished');
      await page.getByText(`207 of ${runs} shown`).waitFor();
      await page.getByRole('columnheader', { name: 'Run', exact: true }).getByRole('button').click();
      await page.waitForFunction(() => document.querySelector('tbody td.name')?.textContent === 'run 1');
      await page.getByRole('button', { name: /more/ }).click();
      await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 200);
      const far = page.locator('tbody td.name a').nth(150);
      const name = await far.innerText();
      await far.scrollIntoViewIfNeeded();
      await page.waitForTimeout(400);
      const y = await page.evaluate(() => scrollY);
      assert.ok(y > 1000, `${y}`);
      await far.click();
      await page.getByRole('heading', { level: 1, name }).waitFor();
      for (const back of [() => page.goBack(), () => page.reload()]) {
        await back();
        await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 200);
        assert.equal(await page.getByLabel('Filter runs').inputValue(), 'status = finished');
        assert.equal((await names(page))[150], name);
        await page.waitForFunction((at) => Math.abs(scrollY - at) < 60, y);
      }
    }));

  test('selecting all of many runs keeps the address short and compares the first of them', () =>
    onPage({}, async (page) => {
      await open(page);
      await page.getByRole('checkbox', { name: 'Select all that are shown' }).check();
      await page.getByText('100 runs selected').waitFor();
      await page.getByText('The first 20 are compared.').waitFor();
      assert.ok(page.url().length < 2000, `${page.url().length}`);
      await page.reload();
      await page.locator('tbody tr').first().waitFor();
    }));

  test('the columns at first are those that vary', () =>
    onPage({}, async (page) => {
      await open(page);
      await page.getByRole('columnheader', { name: 'lr', exact: true }).waitFor();
      assert.equal(await page.getByRole('columnheader', { name: 'same', exact: true }).count(), 0);
    }));

  test('a run that is logged elsewhere appears, and one of another experiment does not', () =>
    onPage({}, async (page) => {
      await open(page);
      await call('POST', '/runs', { experiment_id: other, name: 'elsewhere' });
      await call('POST', '/runs', { experiment_id: experiment, name: 'just now' });
      await page.getByRole('link', { name: 'just now' }).waitFor({ timeout: 10_000 });
      assert.equal(await page.getByRole('link', { name: 'elsewhere' }).count(), 0);
    }));

  test('the same in Japanese', () =>
    onPage({ locale: 'ja-JP' }, async (page) => {
      await open(page, '?filter=' + encodeURIComponent('eval/fl > 0.9 OR lr = 0.001'));
      await page.getByText('eval/fl を持つ実行はここにはありません。metrics.eval/f1 のことですか?').waitFor();
      await page.getByText(/件中 115 件を表示/).waitFor();
    }));
});
