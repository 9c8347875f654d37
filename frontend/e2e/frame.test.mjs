// What stands around every page: sidebar, search, keys, the phone's menu. Needs bin/triality (or TRIALITY) and Chromium.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { accessibilityFaults, missing, setUp } from './browser.mjs';

describe('frame', { skip: missing, timeout: 60_000 }, () => {
  const shared = setUp();
  const { call, onPage } = shared;
  const id = {};

  async function seed() {
    if (id.e) return;
    const e = await call('POST', '/experiments', { name: 'team/rank-sweep', description: 'ranks' });
    await call('POST', '/experiments', { name: 'lone' });
    const run = await call('POST', '/runs', { experiment_id: e.id, name: 'r16 "quoted" AND (', params: { lora_r: '16' } });
    await call('POST', `/runs/${run.id}/metrics`, { 'eval/macro_f1': [{ step: 1, time: Date.now(), value: 0.8 }] });
    Object.assign(id, { e: e.id, run: run.id });
  }
  const main = (page, name) => page.getByRole('heading', { level: 1, name }).waitFor();
  const press = (page, init, selector = 'body') =>
    page.locator(selector).first().evaluate((el, i) => el.dispatchEvent(new KeyboardEvent('keydown', { bubbles: true, cancelable: true, ...i })), init);

  for (const [locale, words] of [
    ['en-US', { find: 'Find anything', what: 'Experiments, runs, metrics, reports, pages', queue: 'Queue', projects: 'Projects', none: /Nothing is called/, experiments: 'Experiments', keys: 'Keys', menu: 'Menu' }],
    ['ja-JP', { find: '検索', what: '実験、実行、指標、レポート、ページを検索', queue: '待ち行列', projects: 'プロジェクト', none: /という名前のものはありません/, experiments: '実験', keys: 'キー操作', menu: 'メニュー' }],
  ]) {
    test(`one search finds pages, experiments, runs and metrics, whatever signs are in their names (${locale})`, () =>
      onPage({ locale }, async (page) => {
        await seed();
        await page.goto('/');
        await main(page, words.experiments);
        const search = async (text) => {
          await page.keyboard.press('Control+k');
          await page.getByRole('combobox', { name: words.what }).fill(text);
        };
        const option = (name) => page.getByRole('option', { name });
        await search(words.queue);
        await option(words.queue).waitFor();
        assert.deepEqual(await accessibilityFaults(page), []);
        await page.keyboard.press('Enter');
        await main(page, words.queue);
        await search('rank sw');
        await option(/team\/rank-sweep/).waitFor();
        await page.keyboard.press('Enter');
        await main(page, 'team/rank-sweep');
        assert.equal(new URL(page.url()).pathname, `/experiments/${id.e}`);
        await search('"quoted" AND (');
        await option(/r16 "quoted" AND \(/).click();
        await page.waitForURL(`**/runs/${id.run}`);
        await search('macro_f1');
        await option(/eval\/macro_f1/).waitFor();
        await page.keyboard.press('ArrowDown');
        await option(/eval\/macro_f1/).click();
        await page.waitForURL((u) => u.pathname === '/runs' && u.search.includes('macro_f1'));
        await page.getByRole('main').getByRole('link', { name: /r16/ }).waitFor();
        await search('no such thing');
        await page.getByText(words.none).waitFor();
        await page.keyboard.press('Escape');
        await page.getByRole('dialog').waitFor({ state: 'detached' });
      }));

    test(`keys go to pages, and wait while one writes, composes or answers a dialog (${locale})`, () =>
      onPage({ locale }, async (page) => {
        await page.goto('/');
        await main(page, words.experiments);
        await page.keyboard.press('g');
        await page.keyboard.press('q');
        await main(page, words.queue);
        await press(page, { key: 'k', ctrlKey: true, isComposing: true });
        await press(page, { key: 'Process', keyCode: 229, ctrlKey: true });
        await press(page, { key: '?', keyCode: 229 });
        assert.equal(await page.getByRole('dialog').count(), 0);
        await page.keyboard.press('Shift+?');
        await page.getByRole('dialog', { name: words.keys }).waitFor();
        await page.getByRole('row', { name: /Ctrl K/ }).waitFor();
        await page.keyboard.press('g');
        await page.keyboard.press('e');
        assert.match(page.url(), /\/queue$/);
        await page.keyboard.press('Escape');
        await page.keyboard.press('g');
        await page.keyboard.press('e');
        await main(page, words.experiments);
        await seed();
        await page.reload();
        await page.getByRole('main').getByRole('searchbox').pressSequentially('gq?');
        assert.equal(await page.getByRole('dialog').count(), 0);
        assert.equal(new URL(page.url()).pathname, '/');
        // What an input method sends to the search's own field chooses nothing.
        await page.keyboard.press('Control+k');
        const field = page.getByRole('combobox', { name: words.what });
        await field.fill('lone');
        await page.getByRole('option', { name: /lone/ }).waitFor();
        await field.evaluate((el) => el.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', keyCode: 229, bubbles: true, cancelable: true })));
        assert.equal(await page.getByRole('dialog').count(), 1);
      }));

    test(`on a phone a menu holds projects and settings (${locale})`, () =>
      onPage({ locale, width: 390, height: 844 }, async (page) => {
        await seed();
        await page.goto('/');
        await main(page, words.experiments);
        await page.getByRole('button', { name: words.menu }).click();
        const menu = page.getByRole('dialog', { name: words.menu });
        assert.deepEqual(await accessibilityFaults(page), []);
        await menu.getByRole('navigation', { name: words.projects }).getByRole('link', { name: /rank-sweep/ }).click();
        await main(page, 'team/rank-sweep');
        await menu.waitFor({ state: 'detached' });
        const [content, view] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
        assert.deepEqual([content, view], [390, 390]);
      }));
  }

  test('projects stand as folders beside every page, the open one marked', () =>
    onPage({}, async (page) => {
      await seed();
      await page.goto(`/experiments/${id.e}`);
      const projects = page.getByRole('navigation', { name: 'Projects' });
      await projects.getByText('team', { exact: true }).waitFor();
      await projects.locator('a[aria-current=page]', { hasText: 'rank-sweep' }).waitFor();
      await page.getByRole('navigation', { name: 'Breadcrumb' }).getByText('team/rank-sweep').waitFor();
      await page.setViewportSize({ width: 900, height: 700 }); // a rail
      await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Queue' }).click();
      await main(page, 'Queue');
      assert.deepEqual(await accessibilityFaults(page), []);
    }));

  test('the height of rows is chosen and remembered', () =>
    onPage({}, async (page) => {
      await page.goto('/');
      await main(page, 'Experiments');
      const row = () => page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue('--row').trim());
      assert.equal(await row(), '28px');
      await page.getByLabel('Row height').selectOption('comfortable');
      assert.equal(await row(), '36px');
      await page.reload();
      await main(page, 'Experiments');
      assert.equal(await row(), '36px');
    }));

  test('the first page and what it loads stay under 300 KB compressed', () =>
    onPage({}, async (page) => {
      await seed();
      await page.goto('/');
      await page.getByRole('main').getByRole('link', { name: 'lone' }).waitFor();
      const sizes = await page.evaluate(() =>
        [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
          .filter((e) => !e.name.includes('/events'))
          .map((e) => [new URL(e.name).pathname, e.encodedBodySize]),
      );
      const total = sizes.reduce((n, [, bytes]) => n + bytes, 0);
      console.log(`the first page: ${total} bytes`);
      assert.ok(sizes.some(([path, bytes]) => /\/assets\/.*\.js$/.test(path) && bytes > 10_000), JSON.stringify(sizes));
      assert.ok(total < 300_000, JSON.stringify(sizes));
    }));
});
