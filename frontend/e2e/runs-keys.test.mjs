// The table of runs without a mouse, in two windows, as a person arranges it, and as axe sees it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { before, describe, test } from 'node:test';
import { missing, setUp } from './browser.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

describe('the table of runs by keyboard and arranged', { skip: missing, timeout: 240_000 }, () => {
  const { call, onPage } = setUp();
  let experiment;

  before(async () => {
    experiment = (await call('POST', '/experiments', { name: 'keys', description: 'Twelve runs' })).id;
    for (let i = 0; i < 12; i++) {
      const started = Date.UTC(2026, 0, 1) + i * 60_000;
      const run = await call('POST', '/runs', {
        experiment_id: experiment, name: `run ${i}`, status: ['finished', 'failed', 'interrupted'][i % 5] ?? 'finished', started_at: new Date(started).toISOString(),
        ended_at: new Date(started + 60_000).toISOString(), params: { lr: ['0.001', '1e-4'][i % 2], index: String(i) }, tags: i ? {} : { team: 'tokyo' },
      });
      await call('POST', `/runs/${run.id}/metrics`, { 'eval/f1': [{ step: 1, time: started, value: 0.9 - i / 100 }], 'eval/loss': [{ step: 1, time: started, value: i / 10 }] });
    }
  });

  const row = (page, line) => page.locator(`tbody tr[data-line="${line}"]`);
  const open = async (page, query = '?order=param:index') => {
    await page.goto(`/experiments/${experiment}${query}`);
    await row(page, 0).getByRole('rowheader').waitFor();
  };
  const titles = async (page) => (await page.getByRole('columnheader').allInnerTexts()).map((x) => x.replace(/[↑↓]\d*$/, '').trim());
  const settled = (page, what) => page.waitForFunction((w) => decodeURIComponent(location.search).includes(w), what);

  test('j, k, x, Shift, Enter, Esc, / and ? work, and a field of text takes its letters itself', () =>
    onPage({}, async (page) => {
      await open(page);
      for (const k of ['j', 'j', 'k', 'j']) await page.keyboard.press(k);
      await page.locator('tr.active[data-line="1"]').waitFor();
      await page.keyboard.press('x');
      await page.getByText('1 run selected').waitFor();
      await page.keyboard.press('Shift+J');
      await page.keyboard.press('Shift+ArrowDown');
      await page.getByText('3 runs selected').waitFor();
      await page.keyboard.press('Escape');
      await page.getByText(/selected/).first().waitFor({ state: 'detached' });
      await page.keyboard.press('/');
      await page.keyboard.type('jxk?');
      assert.equal(await page.getByLabel('Filter runs').inputValue(), 'jxk?');
      await page.getByText('Nothing matches').waitFor();
      await page.getByLabel('Filter runs').fill('');
      await page.keyboard.press('Escape'); // leaves the field
      await row(page, 3).getByRole('rowheader').waitFor();
      await page.keyboard.press('?');
      await page.getByRole('dialog').getByText('Select the run').waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await page.keyboard.press('Home');
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { level: 1, name: 'run 0' }).waitFor();
    }));

  test('no key acts while an input method composes', () =>
    onPage({ locale: 'ja-JP' }, async (page) => {
      await open(page);
      for (const init of [{ isComposing: true }, { keyCode: 229 }]) {
        for (const key of ['j', 'x', '/', '?', 'Enter', 'ArrowDown']) {
          await page.evaluate(([k, i]) => document.body.dispatchEvent(new KeyboardEvent('keydown', { key: k, bubbles: true, cancelable: true, ...i })), [key, init]);
        }
      }
      assert.equal(await page.locator('tr.active').count(), 0);
      assert.equal(await page.getByRole('dialog').count(), 0);
      assert.match(page.url(), /experiments/);
    }));

  test('shift-click selects from the last to here', () =>
    onPage({}, async (page) => {
      await open(page);
      await row(page, 2).getByRole('checkbox').click();
      await row(page, 6).getByRole('checkbox').click({ modifiers: ['Shift'] });
      await page.getByText('5 runs selected').waitFor();
    }));

  test('columns are moved, sized, pinned, hidden and shown without a mouse, and a reload keeps them', () =>
    onPage({}, async (page) => {
      await open(page);
      const before = await titles(page);
      const first = before[2];
      await page.getByRole('columnheader', { name: first, exact: true }).getByRole('button').focus();
      await page.keyboard.press('Alt+ArrowRight');
      await page.waitForFunction((name) => document.querySelectorAll('thead th')[3]?.textContent.includes(name), first);
      await page.getByRole('columnheader', { name: first, exact: true }).getByRole('button').focus();
      const width = () => page.getByRole('columnheader', { name: first, exact: true }).evaluate((el) => el.getBoundingClientRect().width);
      const was = await width();
      await page.keyboard.press('Alt+Shift+ArrowRight');
      await settled(page, '~');
      assert.equal(Math.round((await width()) - was), 16);
      await page.getByRole('button', { name: 'Columns', exact: false }).first().click();
      await page.getByRole('checkbox', { name: 'Pin lr to the left' }).check();
      await page.getByRole('checkbox', { name: /^eval\/loss/ }).uncheck();
      await page.getByRole('checkbox', { name: 'Id', exact: true }).check();
      await page.keyboard.press('Escape');
      for (let i = 0; i < 2; i++) {
        await page.waitForFunction(() => document.querySelectorAll('thead th')[1]?.textContent.includes('lr'));
        const now = await titles(page);
        assert.ok(now.includes('Id') && !now.includes('loss'), now.join());
        await page.reload();
        await row(page, 0).getByRole('rowheader').waitFor();
      }
    }));

  test('a column is dragged and its edge is pulled with the mouse', () =>
    onPage({ width: 1440, height: 900 }, async (page) => {
      await open(page);
      const f1 = page.getByRole('columnheader', { name: 'f1', exact: true });
      const box = await f1.boundingBox();
      await page.mouse.move(box.x + box.width - 3, box.y + 10);
      await page.mouse.down();
      await page.mouse.move(box.x + box.width + 57, box.y + 10, { steps: 4 });
      await page.mouse.up();
      await settled(page, 'metric:eval/f1~164');
      await page.getByRole('columnheader', { name: 'lr', exact: true }).dragTo(f1, { targetPosition: { x: 5, y: 10 } });
      await page.waitForFunction(() => { const t = [...document.querySelectorAll('thead th')].map((x) => x.textContent.trim()); return t.indexOf('lr') === t.indexOf('f1') - 1; });
    }));

  test('a run is renamed, noted and tagged in the page, and a second window sees it', () =>
    onPage({}, async (page, p) => {
      await open(page);
      const second = await page.context().newPage();
      second.on('pageerror', (err) => p.problems.push(`second window: ${err}`));
      await open(second);
      await row(page, 3).hover();
      await row(page, 3).getByRole('button', { name: 'Rename, note or tag run 3' }).click();
      await page.getByRole('dialog').getByLabel('Name').fill('再現 run');
      await page.getByRole('dialog').getByLabel('Notes').fill('looked at again');
      await page.getByRole('button', { name: 'Add a tag' }).click();
      await page.getByRole('dialog').getByLabel('Tag', { exact: true }).fill('keep');
      await page.getByRole('dialog').getByLabel('Value').fill('yes');
      await page.getByRole('button', { name: 'Save', exact: true }).click();
      await row(page, 3).getByRole('link', { name: '再現 run' }).waitFor();
      await row(second, 3).getByRole('link', { name: '再現 run' }).waitFor({ timeout: 10_000 });
      const run = (await call('POST', '/runs/search', { filter: 'tags.keep = yes' })).items[0];
      assert.equal((await call('GET', `/runs/${run.id}`)).notes, 'looked at again');
      await call('PATCH', `/runs/${run.id}`, { name: 'run 3', tags: { keep: null }, notes: '' });
    }));

  test('a view is saved, opened in a second window, changed there, and not overwritten by the first', () =>
    onPage({}, async (page, p) => {
      p.expect(/412/);
      await open(page);
      await page.getByLabel('Filter runs').fill('lr = 0.001');
      await page.getByText('6 of 12 shown').waitFor();
      await page.getByRole('button', { name: 'Save as a view' }).click();
      await page.getByRole('dialog').getByLabel('Name').fill('Fast ones');
      await page.getByRole('button', { name: 'Save', exact: true }).click();
      await page.getByRole('button', { name: 'Fast ones' }).waitFor();
      const second = await page.context().newPage();
      await open(second, '');
      await second.getByRole('button', { name: 'Fast ones' }).click();
      await second.getByText('6 of 12 shown').waitFor();
      await second.getByLabel('Filter runs').fill('lr = 0.001 status = finished');
      await second.getByRole('button', { name: 'Save', exact: true }).click();
      await second.getByRole('button', { name: 'Save', exact: true }).waitFor({ state: 'detached' });
      await second.goBack(); // out of the view
      await second.getByText('12 runs', { exact: true }).waitFor();
      await page.getByLabel('Filter runs').fill('lr = 1e-4');
      await page.getByRole('button', { name: 'Save', exact: true }).click();
      await page.getByRole('navigation', { name: 'Views' }).getByRole('alert').waitFor();
      await page.getByRole('button', { name: 'Delete the view' }).waitFor();
    }));

  test('a saved view that the sidebar leads to is shown as it was saved, from elsewhere and from its own page', () =>
    onPage({}, async (page) => {
      const saved = [];
      for (const [name, filter] of [['Every thousandth', 'lr = 0.001'], ['The first', 'index < 2']]) {
        saved.push(await call('POST', '/views', { name, experiment, body: { filter } }));
      }
      await page.goto('/queue');
      await page.getByRole('link', { name: 'Every thousandth' }).click();
      await page.getByText('6 of 12 shown').waitFor();
      assert.equal(await page.getByLabel('Filter runs').inputValue(), 'lr = 0.001');
      assert.equal(await page.getByRole('button', { name: 'Save', exact: true }).count(), 0, 'it is as it was saved');
      await page.getByRole('link', { name: 'The first' }).click();
      await page.getByText('2 of 12 shown').waitFor();
      await page.reload();
      await page.getByText('2 of 12 shown').waitFor();
      await page.goBack();
      await page.getByText('6 of 12 shown').waitFor();
      for (const v of saved) await call('DELETE', `/views/${v.id}`);
    }));

  test('chosen runs are tagged, archived, moved and deleted at once, and each is undone', () =>
    onPage({}, async (page) => {
      const target = await call('POST', '/experiments', { name: 'target' });
      await open(page);
      for (const line of [4, 5]) await row(page, line).getByRole('checkbox').check();
      await page.getByText('2 runs selected').waitFor();
      const bar = page.getByRole('toolbar', { name: 'Selected runs' });
      const dialog = page.getByRole('dialog');
      const undo = async (said) => {
        await page.getByText(said).waitFor();
        await page.getByRole('button', { name: 'Undo', exact: true }).click();
        await page.getByText(/Undone: 2 runs restored/).waitFor();
        await row(page, 4).getByRole('link', { name: 'run 4' }).waitFor();
      };
      await bar.getByRole('button', { name: 'Tag', exact: true }).click();
      await dialog.getByLabel('Tag', { exact: true }).fill('wave');
      await dialog.getByLabel('Value').fill('3');
      await dialog.getByRole('button', { name: 'Tag', exact: true }).click();
      await page.getByText('2 runs tagged').waitFor();
      assert.equal((await call('POST', '/runs/search', { filter: 'tags.wave = 3' })).total, 2);
      await undo('2 runs tagged');
      assert.equal((await call('POST', '/runs/search', { filter: 'tags.wave = 3' })).total, 0);
      await bar.getByRole('button', { name: 'Archive', exact: true }).click();
      await row(page, 4).getByRole('link', { name: 'run 6' }).waitFor();
      await undo('2 runs archived');
      await bar.getByRole('button', { name: 'Move', exact: true }).click();
      await dialog.getByLabel('Experiment').selectOption('target');
      await dialog.getByRole('button', { name: 'Move', exact: true }).click();
      await row(page, 4).getByRole('link', { name: 'run 6' }).waitFor();
      assert.equal((await call('POST', '/runs/search', { experiments: [target.id] })).total, 2);
      await undo('2 runs moved');
      await bar.getByRole('button', { name: 'Delete', exact: true }).click();
      await row(page, 4).getByRole('link', { name: 'run 6' }).waitFor();
      await undo('2 runs deleted');
    }));

  test('a phone has cards, none of them wider than the screen', () =>
    onPage({ width: 390, height: 844, locale: 'ja-JP' }, async (page) => {
      await page.goto(`/experiments/${experiment}`);
      await page.locator('article').first().getByRole('link').waitFor();
      assert.equal(await page.locator('table').count(), 0);
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 390);
      await page.locator('article').first().getByRole('checkbox').check();
      await page.getByText('1 件を選択中').first().waitFor();
    }));

  for (const [form, options] of Object.entries({ desktop: { width: 1440 }, dark: { width: 1440, colorScheme: 'dark' }, phone: { width: 390, height: 844 }, japanese: { locale: 'ja-JP', width: 1440 } })) {
    test(`axe finds nothing on the list pages: ${form}`, () =>
      onPage(options, async (page) => {
        for (const [path, prepare] of [
          ['/', async () => page.getByRole('main').getByRole('link', { name: 'keys' }).waitFor()],
          [`/experiments/${experiment}?group=param:lr`, async () => page.getByRole('main').getByRole('link', { name: 'run 3' }).waitFor()],
          [`/experiments/${experiment}`, async () => {
            await page.getByRole('main').getByRole('checkbox', { name: /run 3/ }).check();
            await page.waitForTimeout(500);
          }],
          ...(form === 'desktop' ? [['/runs?filter=nokey%20%3E%201', async () => page.locator('#filter-says p').waitFor()]] : []),
        ]) {
          await page.goto(path);
          await prepare();
          const faults = await axeFaults(page);
          assert.deepEqual(faults, [], path);
        }
      }));
  }

  // The page's policy allows no script of others: axe is run by the browser's debugger, beside it.
  async function axeFaults(page) {
    await page.evaluate(axe);
    return page.evaluate(async () => {
      const got = await globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'], rules: { region: { enabled: false } } });
      return got.violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.html.slice(0, 160)}: ${n.any.concat(n.all, n.none).map((x) => x.message).join('; ').slice(0, 200)}`));
    });
  }
});
