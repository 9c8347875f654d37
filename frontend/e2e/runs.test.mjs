// The table of runs on the server's search: what is found, ordered, drawn as it is scrolled, and kept in the address.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { missing, setUp } from './browser.mjs';

describe('the table of runs', { skip: missing, timeout: 240_000 }, () => {
  const { call, onPage } = setUp();
  const runs = 330;
  let experiment, other;

  before(async () => {
    experiment = (await call('POST', '/experiments', { name: 'many' })).id;
    other = (await call('POST', '/experiments', { name: 'other' })).id;
    const make = async (i) => {
      const started = Date.UTC(2026, 0, 1) + i * 60_000;
      const run = await call('POST', '/runs', {
        experiment_id: experiment, status: i % 10 ? 'finished' : 'failed',
        // Most are named by the clock, as the engine does where nobody named them.
        name: i % 3 ? new Date(started).toISOString().slice(0, 19).replace('T', ' ') : `run ${i} ${'with a long name '.repeat(i % 2 ? 8 : 0)}`.trim(),
        started_at: new Date(started).toISOString(), ended_at: new Date(started + 1000 * (i + 1)).toISOString(),
        params: { lr: ['0.001', '1e-4'][i % 2], lora_r: String([4, 8, 16][i % 3]), same: 'x', index: String(i) },
      });
      const point = (value) => [{ step: 1, time: started, value }];
      // The best run is the oldest; one diverged.
      await call('POST', `/runs/${run.id}/metrics`, {
        'eval/macro_f1': point(i === 5 ? 'NaN' : 0.9986 - i / 1000), 'eval/f1/ALLOW': point(0.5 + (i % 7) / 100), 'eval/f1/DENY': point(0.4 + (i % 5) / 100), 'eval/rows': point(400),
      });
    };
    for (let i = 0; i < runs; i += 10) await Promise.all(Array.from({ length: Math.min(10, runs - i) }, (_, k) => make(i + k)));
  });

  const rows = (page) => page.locator('tbody tr[data-line]');
  const row = (page, line) => page.locator(`tbody tr[data-line="${line}"]`);
  const grid = (page) => page.getByRole('region', { name: /^(Runs|実行)$/ });
  const open = async (page, query = '') => {
    await page.goto(`/experiments/${experiment}${query}`);
    await row(page, 0).getByRole('rowheader').waitFor();
  };
  const head = (page, name) => page.getByRole('columnheader', { name, exact: true });
  const shown = (page, n) => page.getByText(`${n} of ${runs} shown`).waitFor();

  test('the best of all runs leads the table, not the best of those that are loaded, and what diverged comes last', () =>
    onPage({}, async (page) => {
      await open(page);
      await head(page, 'macro_f1').getByRole('button').click();
      await row(page, 0).getByText('0.9986').waitFor();
      await page.keyboard.press('End');
      await row(page, runs - 1).getByText('NaN').waitFor();
      assert.equal(await row(page, runs - 1).getAttribute('aria-rowindex'), String(runs + 1));
    }));

  test('only the rows in view are in the page, and a jump far down shows the rows of that place', () =>
    onPage({ width: 1440, height: 900 }, async (page) => {
      await open(page, '?order=param:index');
      assert.ok((await rows(page).count()) < 80);
      await row(page, 27).waitFor(); // rows are made some at a time
      const box = await grid(page).boundingBox();
      const inView = await rows(page).evaluateAll((all, b) => all.filter((r) => r.getBoundingClientRect().top >= b.y && r.getBoundingClientRect().bottom <= b.y + b.height).length, box);
      assert.ok(inView >= 25, `${inView} rows at 1440 x 900`);
      const height = await grid(page).evaluate((el) => el.scrollHeight);
      await grid(page).evaluate((el) => (el.scrollTop = 28 * 250));
      await page.waitForFunction(() => /index=|250/.test(document.querySelector('tr[data-line="250"]')?.textContent ?? ''));
      assert.equal(await grid(page).evaluate((el) => el.scrollHeight), height, 'the page jumped');
      assert.ok((await rows(page).count()) < 80);
      const heights = await rows(page).evaluateAll((all) => [...new Set(all.map((r) => Math.round(r.getBoundingClientRect().height)))]);
      assert.deepEqual(heights, [28]); // a name of 140 characters is one line
    }));

  test('scrolling makes no rows: those that leave the view show what comes into it, and stand in order', () =>
    onPage({ width: 1440, height: 900 }, async (page) => {
      await open(page, '?order=param:index&layout=table');
      const scroll = (line) => grid(page).evaluate((el, at) => (el.scrollTop = at), 28 * line);
      await scroll(60);
      await row(page, 70).getByRole('rowheader').waitFor();
      await rows(page).evaluateAll((all) => all.forEach((r) => (r.known = true)));
      for (let line = 63; line <= 120; line += 3) {
        await scroll(line);
        await row(page, line + 20).waitFor();
      }
      await scroll(200); // and a jump
      await row(page, 210).getByRole('rowheader').waitFor();
      assert.deepEqual(await rows(page).evaluateAll((all) => all.filter((r) => !r.known).length), 0, 'rows were made');
      const lines = await rows(page).evaluateAll((all) => all.map((r) => Number(r.dataset.line)));
      assert.deepEqual(lines, lines.map((_, i) => lines[0] + i), 'a screen reader reads them in order');
      const tops = await rows(page).evaluateAll((all) => all.map((r) => Math.round(r.getBoundingClientRect().top)));
      assert.deepEqual(tops, tops.map((_, i) => tops[0] + 28 * i));
      // The row with the keyboard leaves the view: no other run takes its place under the keys.
      await row(page, 210).getByRole('link').focus();
      await scroll(0);
      await row(page, 0).getByRole('rowheader').waitFor();
      await page.waitForFunction(() => document.activeElement.matches('.runs-grid'));
      // Roles that a table laid out by a grid must say itself.
      assert.equal(await page.getByRole('table', { name: 'Runs' }).getByRole('row').filter({ has: page.getByRole('rowheader') }).count(), await rows(page).count());
      assert.ok((await row(page, 0).getByRole('cell').count()) > 5);
    }));

  test('the columns at first are the primary metric, then what varies; what is the same in all is left out, and that is said', () =>
    onPage({}, async (page) => {
      await open(page);
      const titles = await page.getByRole('columnheader').allInnerTexts();
      const at = (name) => titles.findIndex((x) => x.trim() === name);
      assert.ok(at('macro_f1') > 0 && at('macro_f1') < at('ALLOW') && at('ALLOW') >= 0, titles.join());
      assert.ok(at('lr') > 0 && at('lora_r') > 0);
      assert.equal(at('same') + at('rows'), -2);
      await page.getByRole('button', { name: '2 columns are hidden: the same in every run' }).click();
      await page.getByRole('dialog').getByText('x in every run').waitFor();
    }));

  test('a run that nobody named is called by what differs', () =>
    onPage({}, async (page) => {
      await open(page, '?order=param:index');
      await row(page, 1).getByRole('link', { name: /^lr=1e-4 · lora_r=8 · index=1$/ }).waitFor();
      await row(page, 0).getByRole('link', { name: 'run 0' }).waitFor();
    }));

  test('the example in the filter box finds runs, and a short name, words, OR and quotes do', () =>
    onPage({}, async (page, p) => {
      p.expect(/Failed to load resource.*400/);
      await open(page);
      const box = page.getByLabel('Filter runs');
      const hint = await box.getAttribute('placeholder');
      assert.match(hint, / · eval\/macro_f1 > 0\.\d+ · lr = \S+ · NOT status = failed/);
      for (const example of hint.split(' · ').slice(1)) {
        await box.fill(example);
        await page.getByText(new RegExp(`^[1-9]\\d* of ${runs} shown`)).waitFor();
        await box.fill('');
        await page.getByText(`${runs} runs`, { exact: true }).waitFor();
      }
      for (const [filter, n] of [
        ['macro_f1 > 0.9', 98], ['status = failed', 33], ['lr=0.001', 165], ['lr = 0.0001', 165], ['"run 33"', 1], ['name LIKE \'run %\'', 110],
        ['index = 7 OR index = 8', 2], ['NOT status = failed macro_f1 > 0.99', 7], ['started < 2026-01-01T00:10', 10],
      ]) {
        await box.fill(filter);
        await shown(page, n);
      }
      await page.getByLabel('Status', { exact: true }).selectOption('failed');
      await shown(page, 1);
      assert.equal(await box.inputValue(), '(started < 2026-01-01T00:10) AND status = failed');
      await page.getByLabel('Status', { exact: true }).selectOption('');
      assert.equal(await box.inputValue(), 'started < 2026-01-01T00:10');
      await box.fill('macro_f1 >');
      await page.getByText('at character 11: want a value').waitFor();
      await box.fill('eval/macro_fl > 0.9');
      await page.getByText('No run here has eval/macro_fl. Did you mean metrics.eval/macro_f1?').waitFor();
    }));

  test('Back, forward and a reload keep filter, order, groups, columns, selection and place', () =>
    onPage({}, async (page) => {
      await open(page);
      await page.getByLabel('Filter runs').fill('status = finished');
      await shown(page, 297);
      await head(page, 'lr').getByRole('button').click();
      await head(page, 'macro_f1').getByRole('button').click({ modifiers: ['Shift'] });
      await page.waitForFunction(() => /order=param:lr,-metric/.test(location.search));
      await row(page, 1).getByRole('checkbox').check();
      await grid(page).evaluate((el) => (el.scrollTop = 28 * 180));
      const far = row(page, 185).getByRole('link');
      const name = await far.innerText();
      await page.waitForTimeout(400);
      await far.click();
      await page.waitForURL(/\/runs\//);
      for (const back of [() => page.goBack(), () => page.reload(), async () => (await page.goForward(), await page.goBack())]) {
        await back();
        await row(page, 185).getByRole('link', { name, exact: true }).waitFor();
        assert.equal(await page.getByLabel('Filter runs').inputValue(), 'status = finished');
        await page.getByText('1 run selected').waitFor();
        assert.equal(await head(page, 'macro_f1').getAttribute('aria-sort'), 'descending');
        await page.waitForFunction(() => Math.abs(document.querySelector('[role=region][tabindex="0"]').scrollTop - 28 * 180) < 60);
      }
    }));

  test('selecting all of many runs takes all that match and keeps the address short, and a reload keeps it', () =>
    onPage({}, async (page) => {
      await open(page);
      await page.getByRole('checkbox', { name: 'Select all runs that match' }).check();
      await page.getByText(`${runs} runs selected`).waitFor();
      assert.ok(page.url().length < 2000, `${page.url().length}`);
      await page.reload();
      await page.getByText(`${runs} runs selected`).waitFor();
      await page.getByRole('button', { name: 'Clear the selection' }).click();
      await page.getByText(/selected/).waitFor({ state: 'detached' });
    }));

  test('groups have mean, spread and count, and open to their runs', () =>
    onPage({}, async (page) => {
      await open(page);
      await page.getByLabel('Group by').selectOption('param:lora_r');
      await page.getByText('3 groups').waitFor();
      const group = row(page, 0);
      await group.getByText('110 runs').waitFor();
      assert.match(await group.innerText(), /lora_r = \d+[\s\S]*0\.8\d+ ±0\.\d+/);
      await group.getByRole('button', { expanded: true }).click();
      await row(page, 1).getByText('110 runs').waitFor();
      await row(page, 1).getByRole('button').click();
      await row(page, 2).getByRole('button', { expanded: true }).waitFor();
      await row(page, 2).getByText('110 runs').waitFor();
    }));

  test('a baseline stands above the others, which show how they differ', () =>
    onPage({}, async (page) => {
      await open(page, '?order=param:index');
      await row(page, 2).getByRole('checkbox').check();
      await page.getByRole('button', { name: 'Use as baseline' }).click();
      await row(page, -1).getByText('0.9966').waitFor();
      await row(page, 4).getByText('−0.0020').waitFor();
      assert.match(await row(page, 0).innerText(), /\+0\.0020/);
      await page.reload();
      await row(page, 4).getByText('−0.0020').waitFor();
    }));

  test('a run that is logged elsewhere appears, and one of another experiment does not', () =>
    onPage({}, async (page) => {
      await open(page);
      await call('POST', '/runs', { experiment_id: other, name: 'elsewhere' });
      const made = await call('POST', '/runs', { experiment_id: experiment, name: 'just now', started_at: new Date().toISOString() });
      await page.getByRole('link', { name: 'just now' }).waitFor({ timeout: 10_000 });
      assert.equal(await page.getByRole('link', { name: 'elsewhere' }).count(), 0);
      await page.goto('/runs');
      await page.getByRole('heading', { level: 1, name: 'Runs' }).waitFor();
      await page.getByRole('link', { name: 'elsewhere', exact: true }).waitFor();
      await page.getByRole('link', { name: 'many', exact: true }).first().waitFor();
      await call('PATCH', `/runs/${made.id}`, { status: 'finished' });
      await call('DELETE', `/runs/${made.id}`);
    }));

  test('the same in Japanese', () =>
    onPage({ locale: 'ja-JP' }, async (page) => {
      await open(page, '?filter=' + encodeURIComponent('eval/macro_fl > 0.9 OR lr = 0.001'));
      await page.getByText('eval/macro_fl を持つ実行はここにはありません。metrics.eval/macro_f1 のことですか?').waitFor();
      await page.getByText(/件中 165 件を表示/).waitFor();
      await page.getByText('2 列を非表示: すべての実行で同じ値').waitFor();
      await page.getByLabel('グループ化').selectOption('param:lora_r');
      await page.getByText(/3 グループ/).waitFor();
    }));
});
