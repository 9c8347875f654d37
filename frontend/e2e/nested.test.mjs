// Runs that are parts of others in the table, and windows of an order that the server keeps.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { missing, setUp } from './browser.mjs';
import { startServer } from './server.mjs';

describe('runs that are parts of others', { skip: missing, timeout: 120_000 }, () => {
  const shared = setUp();
  const { call, onPage } = shared;
  let experiment;
  const ids = {};

  const make = async (name, parent, f1) => {
    const run = await call('POST', '/runs', { experiment_id: experiment, name, status: 'finished', params: { lr: String(f1) }, ...(parent ? { parent_id: ids[parent] } : {}) });
    ids[name] = run.id;
    if (f1 !== undefined) await call('POST', `/runs/${run.id}/metrics`, { f1: [{ step: 1, time: 0, value: f1 }] });
  };
  before(async () => {
    experiment = (await call('POST', '/experiments', { name: 'sweeps' })).id;
    await make('sweep');
    for (let i = 0; i < 5; i++) await make(`trial ${i}`, 'sweep', i / 10);
    await make('seed a', 'trial 3', 0.31);
    await make('seed b', 'trial 3', 0.32);
    await make('alone', '', 0.9);
  });

  const names = (page) => page.locator('tbody tr[data-line] th a').allTextContents();
  const row = (page, name) => page.getByRole('row', { name: new RegExp(name) });
  const until = async (page, want) => {
    try {
      await page.waitForFunction((w) => JSON.stringify([...document.querySelectorAll('tbody tr[data-line] th a')].map((a) => a.textContent)) === w, JSON.stringify(want));
    } catch {
      assert.deepEqual(await names(page), want);
    }
  };
  const open = (page, query = '') => page.goto(`/experiments/${experiment}${query}`);

  test('stand in the list of all, and below their parent once it is opened, level by level', () =>
    onPage({}, async (page) => {
      await open(page, '?order=-metric:f1');
      await until(page, ['alone', 'trial 4', 'seed b', 'seed a', 'trial 3', 'trial 2', 'trial 1', 'trial 0', 'sweep']);
      assert.equal(await row(page, 'trial 4').getByRole('img', { name: 'a part of another run' }).count(), 1);
      await page.getByRole('button', { name: '5 runs are parts of sweep: show them' }).click();
      await until(page, ['alone', 'sweep', 'trial 4', 'trial 3', 'trial 2', 'trial 1', 'trial 0']);
      const left = (name) => page.getByRole('link', { name, exact: true }).evaluate((a) => a.getBoundingClientRect().left);
      assert.ok((await left('trial 4')) > (await left('alone')));
      await page.getByRole('button', { name: '2 runs are parts of trial 3: show them' }).click();
      await until(page, ['alone', 'sweep', 'trial 4', 'trial 3', 'seed b', 'seed a', 'trial 2', 'trial 1', 'trial 0']);
      assert.ok((await left('seed a')) > (await left('trial 4')));
      // Another order keeps them open and below their parents.
      await page.getByRole('columnheader', { name: 'f1', exact: true }).getByRole('button').click();
      await until(page, ['alone', 'sweep', 'trial 0', 'trial 1', 'trial 2', 'trial 3', 'seed a', 'seed b', 'trial 4']);
      // A part that is logged elsewhere comes in its place.
      await make('trial 9', 'sweep', 0.15);
      await until(page, ['alone', 'sweep', 'trial 0', 'trial 1', 'trial 9', 'trial 2', 'trial 3', 'seed a', 'seed b', 'trial 4']);
      await call('DELETE', `/runs/${ids['trial 9']}`);
      await until(page, ['alone', 'sweep', 'trial 0', 'trial 1', 'trial 2', 'trial 3', 'seed a', 'seed b', 'trial 4']);
      await page.getByRole('button', { name: '5 runs are parts of sweep: show them' }).click();
      await until(page, ['alone', 'sweep']);
      await page.reload();
      await until(page, ['alone', 'sweep']);
      // What is searched for is found wherever it stands.
      await page.getByLabel('Filter runs').fill('seed');
      await until(page, ['seed a', 'seed b']);
    }));

  test('open by keys, and select as others do', () =>
    onPage({}, async (page) => {
      await open(page, '?group=attribute:parent&order=-metric:f1');
      await until(page, ['alone', 'sweep']);
      await page.getByRole('region', { name: 'Runs' }).focus();
      for (const key of ['j', 'j', 'o']) await page.keyboard.press(key);
      await until(page, ['alone', 'sweep', 'trial 4', 'trial 3', 'trial 2', 'trial 1', 'trial 0']);
      for (const key of ['j', 'x', 'Shift+J', 'Shift+J']) await page.keyboard.press(key);
      await page.getByText('3 runs chosen').or(page.getByText(/3 (runs )?selected/)).first().waitFor();
      const chosen = await page.locator('tr.chosen th a').allTextContents();
      assert.deepEqual(chosen, ['trial 4', 'trial 3', 'trial 2']);
    }));

  test('in cards on a phone', () =>
    onPage({ width: 390, height: 844, locale: 'ja-JP' }, async (page) => {
      await open(page, '?group=attribute:parent&order=-metric:f1');
      await page.getByRole('button', { name: 'sweep の一部である 5 件の実行を表示' }).click();
      await page.getByRole('link', { name: 'trial 4' }).waitFor();
    }));

  test('an order that the server no longer keeps is found anew', () =>
    onPage({}, async (page, p) => {
      p.expect(/Failed to load resource|ERR_CONNECTION|ERR_INCOMPLETE|409/);
      const far = (await call('POST', '/experiments', { name: 'far' })).id;
      for (let i = 0; i < 260; i += 20) {
        await Promise.all(Array.from({ length: 20 }, (_, k) => call('POST', '/runs', { experiment_id: far, name: `n${String(i + k).padStart(3, '0')}`, status: 'finished' })));
      }
      const searches = [];
      page.on('request', (r) => r.url().endsWith('/runs/search') && searches.push(JSON.parse(r.postData())));
      await page.goto(`/experiments/${far}?order=attribute:name`);
      await row(page, 'n000').waitFor();
      const before = searches.length;
      const scroll = (line) => page.getByRole('region', { name: 'Runs' }).evaluate((el, at) => (el.scrollTop = at), 28 * line);
      await scroll(240);
      await row(page, 'n245').waitFor();
      assert.equal(searches.length, before + 1, 'one request for a far row');
      assert.ok(searches.at(-1).snapshot && searches.at(-1).offset === 200);
      const { port, dir } = shared.server;
      await shared.server.stop();
      shared.server = await startServer({ data: dir, port });
      await scroll(120);
      await row(page, 'n125').waitFor({ timeout: 20_000 });
    }));
});
