// The page of all experiments, with many of them.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { missing, setUp } from './browser.mjs';

describe('the page of experiments', { skip: missing, timeout: 120_000 }, () => {
  const { call, onPage } = setUp();
  const many = 400;
  const name = (i) => `experiment ${String(i).padStart(3, '0')}`;

  before(async () => {
    for (let i = 0; i < many; i += 40) {
      await Promise.all(Array.from({ length: 40 }, (_, k) => call('POST', '/experiments', { name: name(i + k), ...(i + k === 7 ? { description: `about ${'many things '.repeat(30)}` } : {}) })));
    }
  });

  const rows = (page) => page.locator('tbody tr[data-line]');
  const link = (page, i) => page.getByRole('main').getByRole('link', { name: name(i), exact: true });

  for (const [locale, width, words] of [['en-US', 1440, { name: 'Name', search: 'Search experiments', region: 'Experiments' }], ['ja-JP', 390, { name: '名前', search: '実験を検索', region: '実験' }]]) {
    test(`draws the rows in view, whatever their number, and a row has one height (${locale}, ${width} px)`, () =>
      onPage({ locale, width, height: 900 }, async (page) => {
        await page.goto('/');
        await page.getByRole('columnheader', { name: words.name }).getByRole('button').click(); // from A
        await link(page, 0).waitFor();
        assert.ok((await rows(page).count()) < 60, `${await rows(page).count()} rows`);
        const heights = await rows(page).evaluateAll((all) => [...new Set(all.map((r) => Math.round(r.getBoundingClientRect().height)))]);
        assert.equal(heights.length, 1, heights.join());
        await page.getByRole('region', { name: words.region }).evaluate((el) => (el.scrollTop = el.scrollHeight));
        await link(page, many - 1).waitFor();
        assert.ok((await rows(page).count()) < 60);
        assert.equal(await page.locator('table').getAttribute('aria-rowcount'), String(many + 1));
        assert.deepEqual(await page.evaluate(() => document.documentElement.scrollWidth), width, 'the page scrolls sideways');
        await page.getByRole('searchbox', { name: words.search }).fill('many things');
        await link(page, 7).waitFor();
        await page.waitForFunction(() => document.querySelectorAll('tbody tr[data-line]').length === 1);
      }));
  }

  test('the last is opened with the keyboard alone', () =>
    onPage({}, async (page) => {
      await page.goto('/');
      await page.getByRole('columnheader', { name: 'Name' }).getByRole('button').click();
      await link(page, 0).waitFor();
      await page.getByRole('region', { name: 'Experiments' }).focus();
      await page.keyboard.press('End');
      await link(page, many - 1).waitFor();
      await link(page, many - 1).focus();
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { level: 1, name: name(many - 1) }).waitFor();
    }));
});
