// Any runs beside each other: by their rows, by what they are made of, in the address, by keyboard, as axe sees it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { before, describe, test } from 'node:test';
import { missing, setUp } from './browser.mjs';
import { abResult, labels } from './fixtures.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Two results on the same rows: the second's model is right where the first's was wrong on every third of them, and both
 *  wrote an answer. */
function results() {
  const first = abResult(120);
  const second = structuredClone(first);
  first.samples.forEach((s, i) => {
    s.columns = { style: i % 2 ? 'plain' : 'odd', length: i };
    s.instruction = 'Classify the request.';
    s.output_a = 'none';
    s.output_b = `I cannot share that list (${i}).`;
    const t = second.samples[i];
    Object.assign(t, { columns: s.columns, instruction: s.instruction, output_a: 'none', output_b: `I can share the list (${i}).` });
    s.prediction_b = i % 3 ? s.label : s.label === 'DENY' ? 'ALLOW' : 'DENY';
    t.prediction_b = t.label;
  });
  for (const r of [first, second]) r.arms[1].confusion = labels.map((g) => labels.map((p) => r.samples.filter((s) => s.label === g && s.prediction_b === p).length));
  return [first, second];
}

const words = {
  'en-US': { title: 'Compare runs', better: /^B \(second\) is better than A \(first\): Accuracy \+0\.3/, rows: '40 of 120 rows', hide: /^Hide the \d+ equal rows$/, history: 'History over all runs of row 0', right: /^\d of 4 answers right\./, next: 'Next', download: /^Download the 10 rows as data$/, add: 'Add the condition', column: 'Column', value: 'Value', swap: 'Swap A and B', worse: /^B \(first\) is worse than A \(second\)/ },
  'ja-JP': { title: '実行の比較', better: /^B（second）は A（first）より良い：正解率 \+0\.3/, rows: '120 件中 40 件', hide: /^同じ \d+ 行を隠す$/, history: '行 0 の全実行での履歴', right: /^4 回答のうち \d が正解。/, next: '次へ', download: /^10 件をデータとしてダウンロード$/, add: '条件を加える', column: '列', value: '値', swap: 'A と B を入れ替える', worse: /^B（first）は A（second）より悪い/ },
};

describe('runs are compared', { skip: missing, timeout: 120_000 }, () => {
  const { call, onPage } = setUp();
  let first, second, plain, experiment, both;

  before(async () => {
    experiment = (await call('POST', '/experiments', { name: 'compared' })).id;
    const make = (name, lr, more = {}) => call('POST', '/runs', { experiment_id: experiment, name, status: 'finished', params: { lr, seed: '1' }, ...more });
    [first, second, plain] = [(await make('first', '0.001')).id, (await make('second', '1e-4')).id, (await make('without a test', '1e-5')).id];
    for (const [run, value] of [[first, 0.5], [second, 0.75]]) await call('POST', `/runs/${run}/metrics`, { 'eval/f1': [{ step: 1, time: 1e12, value }] });
    const [a, b] = results();
    await call('PUT', `/runs/${first}/artifacts/abtest/results.json`, JSON.stringify(a), 'application/octet-stream');
    await call('PUT', `/runs/${second}/artifacts/abtest/results.json`, JSON.stringify(b), 'application/octet-stream');
    both = `/compare?runs=${first},${second}`;
  });

  for (const locale of ['en-US', 'ja-JP']) {
    const w = words[locale];
    test(`the difference, the rows, a condition, their data and a row's history: ${locale}`, () =>
      onPage({ locale }, async (page) => {
        await page.goto(both);
        await page.getByRole('heading', { level: 1, name: w.title }).waitFor();
        await page.getByText(w.better).waitFor();
        await page.getByText(w.rows).waitFor();
        // Words that one answer alone has.
        const row = page.locator('#samples ~ ul.card > li').first();
        assert.deepEqual((await row.locator('del').allInnerTexts()).map((x) => x.trim()), ['cannot', 'that']);
        assert.deepEqual((await row.locator('ins').allInnerTexts()).map((x) => x.trim()), ['can', 'the']);
        await row.getByRole('button', { name: w.history }).click();
        await row.getByText(w.right).waitFor();
        await page.getByRole('button', { name: w.next, exact: true }).click();
        await page.waitForFunction(() => location.search.includes('offset=25'));
        await page.locator('#samples ~ ul.card > li').nth(14).waitFor();
        assert.equal(await page.locator('#samples ~ ul.card > li').count(), 15);
        await page.getByRole('combobox', { name: w.column, exact: true }).selectOption('row.length');
        await page.getByRole('combobox', { name: new RegExp(`^${w.value}`) }).fill('30');
        await page.locator('form select').nth(1).selectOption('<');
        await page.getByRole('button', { name: w.add }).click();
        const link = page.getByRole('link', { name: w.download });
        await link.waitFor();
        const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
        const rows = readFileSync(await download.path(), 'utf8').trim().split('\n').map((l) => JSON.parse(l));
        assert.equal(rows.length, 10);
        assert.ok(rows.every((r) => r.instruction === 'Classify the request.' && r.input && r.output === r.four_class_label && r.length < 30 && r.length % 3 === 0));
        await page.getByRole('button', { name: w.swap }).click();
        await page.getByText(w.worse).waitFor();
        // The address keeps everything.
        const at = page.url();
        await page.reload();
        await page.getByRole('link', { name: w.download }).waitFor();
        assert.equal(page.url(), at);
        await page.goBack();
        await page.getByText(w.better).waitFor();
        await page.goForward();
        await page.getByText(w.worse).waitFor();
      }));
  }

  test('a cell of a matrix leads to its rows, on the A/B page and here; rows are kept with the run', () =>
    onPage({}, async (page) => {
      await page.goto(`/runs/${first}/abtest`);
      const cell = page.getByRole('link', { name: /rows?: ESCALATION answered with DENY$/ }).last(); // of model B
      const count = (await cell.innerText()).trim();
      await cell.click();
      await page.getByText(`${count} of 120 rows`).waitFor();
      assert.equal(await page.getByRole('combobox', { name: 'Label', exact: true }).inputValue(), 'ESCALATION');
      await page.getByText('B · prediction = DENY').waitFor();
      await page.getByRole('link', { name: /rows?: ALLOW answered with DENY$/ }).last().click();
      await page.waitForFunction(() => location.search.includes('label=ALLOW'));
      await page.getByRole('button', { name: 'Take the condition B · prediction = DENY away' }).click();
      await page.getByText('30 of 120 rows').waitFor();
      await page.getByRole('button', { name: 'Keep them with run B’s files' }).click();
      await page.getByText(/^Kept as datasets\/four_class_all_ALLOW_/).waitFor();
      const kept = (await call('GET', `/runs/${first}/artifacts`)).items.find((a) => a.path.startsWith('datasets/'));
      assert.equal(kept.media_type, 'application/jsonl');
    }));

  test('runs come from the list by C, are added and left out, and equal rows hide on request', () =>
    onPage({}, async (page, p) => {
      p.expect(/404/); // a run without an A/B test has none to read
      await page.goto(`/experiments/${experiment}?order=param:lr`);
      await page.locator('tbody tr[data-line="2"]').getByRole('rowheader').waitFor();
      for (const k of ['j', 'x', 'j', 'j', 'x']) await page.keyboard.press(k);
      await page.getByText('2 runs selected').first().waitFor();
      await page.keyboard.press('?');
      await page.getByRole('dialog').getByText('Compare the selected runs').waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await page.keyboard.press('c');
      await page.getByRole('heading', { level: 1, name: 'Compare runs' }).waitFor();
      await page.getByText('One of the two has no A/B test').waitFor();
      await page.getByRole('rowheader', { name: 'lr', exact: true }).waitFor();
      await page.getByText('Add a run').press('Enter');
      await page.getByRole('button', { name: 'second' }).press('Enter');
      await page.getByRole('columnheader', { name: 'second' }).waitFor();
      await page.getByRole('rowheader', { name: 'seed', exact: true }).waitFor();
      await page.getByRole('checkbox', { name: /^Hide the/ }).press('Space');
      await page.getByRole('rowheader', { name: 'seed', exact: true }).waitFor({ state: 'detached' });
      assert.equal(await page.getByRole('rowheader', { name: 'lr', exact: true }).count(), 1);
      await page.getByRole('button', { name: 'Leave without a test out' }).press('Enter');
      await page.getByText(/^B \(second\) is better than A \(first\)|^B \(first\) is worse/).waitFor();
      await page.goto('/compare');
      await page.getByText('No runs to compare').waitFor();
    }));

  for (const [form, options] of Object.entries({ desktop: { width: 1440 }, dark: { width: 1440, colorScheme: 'dark' }, phone: { width: 390, height: 844 }, japanese: { locale: 'ja-JP', width: 390, height: 844, colorScheme: 'dark' } })) {
    test(`axe finds nothing and nothing is wider than the page: ${form}`, () =>
      onPage(options, async (page) => {
        await page.goto(`${both}&where=${encodeURIComponent('row.length<9')}`);
        await page.locator('#samples ~ ul.card > li').first().waitFor();
        await page.locator('.lead').waitFor();
        await page.locator('#samples ~ ul.card > li').first().getByRole('button').click();
        await page.locator('.history li').first().waitFor();
        await page.evaluate(axe);
        const faults = await page.evaluate(async () => {
          const got = await globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'], rules: { region: { enabled: false } } });
          return got.violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.html.slice(0, 200)}: ${n.any.concat(n.all, n.none).map((x) => x.message).join('; ').slice(0, 200)}`));
        });
        assert.deepEqual(faults, []);
        assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= options.width);
        if (options.width < 500) assert.deepEqual(await page.evaluate(() => [...document.querySelectorAll('main section[aria-labelledby="paired"] .table')].filter((e) => e.scrollWidth > e.clientWidth + 1).length), 0);
      }));
  }
});
