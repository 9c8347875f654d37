// The pages in a real browser against the real binary. Needs bin/triality (or TRIALITY) and Chromium.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { accessibilityFaults, contrasts, missing, setUp } from './browser.mjs';
import { abResult, curves, dataSummary, replacement } from './fixtures.mjs';
import { startServer } from './server.mjs';

const built = (name) => fileURLToPath(new URL(`../../wasm-metrics/dist/${name}.wasm`, import.meta.url));
const wasm = built('mcc');
const unbuilt = existsSync(wasm) ? false : 'wasm-metrics/dist is not built';
const json = (v) => JSON.stringify(v);

describe('pages', { skip: missing, timeout: 240_000 }, () => {
  const shared = setUp();
  const { call, onPage } = shared;
  const id = {}; // of what the seed made

  async function seed() {
    if (id.experiment) return;
    const e = await call('POST', '/experiments', { name: 'seeded', description: 'Four runs of one training' });
    for (let i = 1; i <= 4; i++) {
      const r = await call('POST', '/runs', {
        experiment_id: e.id, name: `lora r=${8 * i}`, params: { lora_r: String(8 * i), learning_rate: '0.002', seed: '42' },
      });
      await call('POST', `/runs/${r.id}/metrics`, curves(i));
      await call('PATCH', `/runs/${r.id}`, { status: i === 4 ? 'failed' : 'finished' });
      id[`run${i}`] = r.id;
    }
    const put = (path, body) => call('PUT', `/runs/${id.run1}/artifacts/${path}`, body, 'application/octet-stream');
    await put('abtest/results.json', json(abResult()));
    await put('convert/summary.json', json(dataSummary));
    await put('replace/replacement.json', json(replacement));
    id.experiment = e.id;
  }

  test('an empty server says which command makes the first run', () =>
    onPage({}, async (page) => {
      await page.goto('/');
      await page.getByRole('heading', { level: 1, name: 'Experiments' }).waitFor();
      await page.getByText('No experiments yet').waitFor();
      await page.getByText('triality run configs/demo.yaml').waitFor();
    }));

  test('an experiment is made in the browser, and a name that is taken is refused in place', () =>
    onPage({}, async (page, p) => {
      p.expect(/409/);
      await page.goto('/');
      await page.getByRole('button', { name: 'New experiment' }).click();
      await page.getByLabel('Name').fill('first experiment');
      await page.getByLabel('Description').fill('made by a browser');
      await page.getByRole('button', { name: 'Create', exact: true }).click();
      await page.getByRole('heading', { level: 1, name: 'first experiment' }).waitFor();
      assert.match(page.url(), /\/experiments\/[^/]+$/);
      await page.getByText('No runs yet').waitFor();
      await page.getByRole('link', { name: 'Experiments' }).first().click();
      await page.getByRole('main').getByRole('link', { name: 'first experiment' }).waitFor();
      await page.getByRole('button', { name: 'New experiment' }).click();
      await page.getByLabel('Name').fill('first experiment');
      await page.getByRole('button', { name: 'Create', exact: true }).click();
      await page.getByRole('dialog').getByRole('alert').waitFor();
    }));

  test('Escape leaves a dialog open while a Japanese input method is composing', () =>
    onPage({}, async (page) => {
      await page.goto('/');
      await page.getByRole('button', { name: 'New experiment' }).click();
      const escape = (init) =>
        page.getByLabel('Name').evaluate((el, i) => el.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true, cancelable: true, ...i })), init);
      await escape({ isComposing: true });
      await escape({ keyCode: 229 });
      assert.equal(await page.getByRole('dialog').count(), 1);
      await escape({});
      await page.getByRole('dialog').waitFor({ state: 'detached' });
    }));

  test('a run page shows points, statuses and new metrics as they are logged', () =>
    onPage({}, async (page) => {
      const e = (await call('GET', '/experiments')).items[0];
      const run = await call('POST', '/runs', { experiment_id: e.id, name: 'live run', params: { lora_r: '16' } });
      await page.goto(`/runs/${run.id}`);
      await page.getByRole('heading', { level: 1, name: 'live run' }).waitFor();
      await page.getByText('No metrics yet').waitFor();
      await page.waitForLoadState('networkidle').catch(() => {}); // the event stream stays open
      const log = (step, value) =>
        call('POST', `/runs/${run.id}/metrics`, { 'train/loss': [{ step, time: Date.now(), value }] });
      await log(1, 0.75);
      await page.getByRole('row', { name: 'train/loss 0.75' }).waitFor(); // one point is a figure, not a curve
      for (let step = 2; step < 40; step++) await log(step, 1 / step);
      await log(40, 0.125);
      await page.getByRole('application', { name: /^train\/loss by Step: train\/loss 0\.125\. / }).waitFor();
      await page.locator('figure canvas').first().waitFor();
      await call('PATCH', `/runs/${run.id}`, { status: 'finished' });
      await page.getByText('Finished').waitFor();
    }));

  test('the run list filters, chooses columns and compares curves', () =>
    onPage({}, async (page) => {
      await seed();
      await page.goto(`/experiments/${id.experiment}`);
      await page.getByRole('link', { name: 'lora r=32' }).waitFor();
      await page.getByLabel('Filter runs').fill('lora_r>8 status!=failed');
      await page.getByText('2 of 4 shown').waitFor();
      assert.equal(await page.getByRole('link', { name: 'lora r=8', exact: true }).count(), 0);
      await page.getByLabel('Filter runs').fill('');
      await page.getByLabel('Status').selectOption('failed');
      await page.getByText('1 of 4 shown').waitFor();
      await page.getByLabel('Status').selectOption('');

      await page.getByRole('button', { name: /^Columns/ }).click();
      await page.getByLabel('Search columns').fill('learning');
      await page.getByRole('dialog').getByRole('checkbox', { name: /^learning_rate/ }).check();
      await page.getByRole('button', { name: 'Close' }).click();
      await page.getByRole('columnheader', { name: 'learning_rate', exact: true }).waitFor();

      await page.getByRole('checkbox', { name: 'Select all runs that match' }).check();
      await page.getByRole('link', { name: 'Compare', exact: true }).waitFor();
      await page.getByRole('application', { name: /^train\/loss by Step: lora r=/ }).waitFor();
      await page.getByRole('figure', { name: 'eval/loss', exact: true }).scrollIntoViewIfNeeded();
      await page.getByRole('application', { name: /^eval\/loss by Step: lora r=/ }).waitFor(); // all metrics at once
      await page.getByRole('checkbox', { name: 'Log axis' }).check();
      await page.getByLabel(/Smoothing/).fill('0.6');
      assert.match(page.url(), /compare=/);
      await page.reload();
      await page.getByText('4 runs selected').waitFor();
      await page.getByRole('link', { name: 'Compare', exact: true }).click();
      await page.getByRole('rowheader', { name: 'lora_r' }).waitFor();
      await page.goBack();
      await page.getByText('4 runs selected').waitFor();
    }));

  test('a run page shows data, replacement, parameters and files, and filters curves by expression', () =>
    onPage({}, async (page) => {
      await seed();
      await page.goto(`/runs/${id.run1}?tab=lineage`);
      await page.getByRole('heading', { name: 'SO8T replacement' }).waitFor();
      await page.getByRole('rowheader', { name: 'max_logit_difference' }).waitFor();
      const train = page.getByRole('table', { name: 'Splits and labels' }).getByRole('row', { name: /^train/ });
      assert.match(await train.innerText(), /160\s+160\s+160\s+160\s+640\s+320\s+41,234/);
      await page.getByRole('link', { name: 'Curves' }).click();
      await page.getByRole('heading', { name: 'so8t/orthogonality/layer_*' }).waitFor();
      await page.getByLabel('Metrics (regular expression)').fill('^eval/');
      await page.getByRole('heading', { name: 'train/loss' }).waitFor({ state: 'detached' });
      await page.getByRole('heading', { name: 'eval/accuracy' }).waitFor();
      await page.getByLabel('Metrics (regular expression)').fill('(');
      await page.getByText(/Not a regular expression/).waitFor();
      await page.getByRole('link', { name: 'Files' }).click();
      await page.getByRole('link', { name: 'summary.json' }).click();
      const download = page.getByRole('link', { name: 'Download', exact: true });
      const [file] = await Promise.all([page.waitForEvent('download'), download.click()]);
      assert.deepEqual(JSON.parse(readFileSync(await file.path(), 'utf8')), dataSummary);
      const report = page.getByRole('link', { name: 'View the report' });
      assert.equal(await report.getAttribute('href'), `/api/v1/runs/${id.run1}/report?lang=en`);
      await page.getByLabel('Language of the report').selectOption('ja');
      assert.equal(await report.getAttribute('href'), `/api/v1/runs/${id.run1}/report?lang=ja`);
    }));

  test('an A/B test shows intervals, matrices, modules and samples that can be filtered', () =>
    onPage({}, async (page) => {
      await seed();
      const want = abResult();
      await page.goto(`/runs/${id.run1}`);
      await page.getByRole('link', { name: 'A/B test' }).click();
      await page.getByRole('heading', { level: 1, name: 'A/B test of lora r=8' }).waitFor();
      await page.getByRole('img', { name: /^Accuracy: \+0\.\d+, from \+0\.\d+ to \+0\.\d+$/ }).waitFor();
      const row = (name) => page.getByRole('row', { name });
      assert.match(await row(/^Accuracy/).first().innerText(), /B is better/);
      assert.match(await row(/^Macro F1/).first().innerText(), /no clear difference/);
      assert.match(await row(/^Median latency/).innerText(), /B is worse/);
      assert.match(await row(/^Right only in A/).innerText(), new RegExp(`${want.mcnemar.only_a}$`));
      const matrix = page.getByRole('table', { name: /Model B/ }).getByRole('row', { name: /^ESCALATION/ });
      assert.deepEqual((await matrix.innerText()).match(/\d+/g).map(Number), want.arms[1].confusion[1]);
      await page.getByText('the metric ran past its 2 s limit and was stopped').waitFor();
      await page.getByText('naive Bayes').waitFor();

      const count = (n) => page.getByText(`${n} rows`, { exact: true }).waitFor();
      await count(120);
      await page.getByLabel('Show').selectOption('disagree');
      await count(want.samples.filter((s) => s.prediction_a !== s.prediction_b).length);
      await page.getByLabel('Show').selectOption('wrongB');
      const wrongB = want.samples.filter((s) => s.prediction_b !== s.label);
      await count(wrongB.length);
      await page.getByLabel('Show').selectOption('all');
      await page.getByRole('combobox', { name: 'Language' }).last().selectOption('ja');
      await page.getByRole('combobox', { name: 'Label' }).selectOption('DENY');
      await count(want.samples.filter((s) => s.language === 'ja' && s.label === 'DENY').length);
      await page.getByRole('combobox', { name: 'Language' }).last().selectOption('');
      await page.getByRole('combobox', { name: 'Label' }).selectOption('');
      await page.getByLabel('Search the text').fill('(119)');
      await page.getByText('1 row', { exact: true }).waitFor();
      await page.getByLabel('Search the text').fill('');
      await page.getByRole('button', { name: 'Next' }).click();
      await page.getByText('2 of 5').waitFor();
      await page.getByRole('button', { name: 'Probabilities of row 25' }).click();
    }));

  test('a run without an A/B test says how to make one', () =>
    onPage({}, async (page) => {
      await seed();
      await page.goto(`/runs/${id.run2}/abtest`);
      await page.getByText('This run has no A/B test yet').waitFor();
      await page.getByText(/triality abtest --model-a/).waitFor();
    }));

  test('a file that is no module is refused with each check, by input and by drop', () =>
    onPage({}, async (page, p) => {
      p.expect(/400/);
      await page.goto('/modules');
      await page.getByText('No modules yet').waitFor();
      await page.getByLabel('choose a file').setInputFiles({ name: 'broken.wasm', mimeType: 'application/wasm', buffer: Buffer.from('not wasm') });
      await page.getByText('broken.wasm was refused').waitFor();
      assert.ok((await page.getByRole('list', { name: 'Checks' }).getByText('failed').count()) > 0);
      const data = await page.evaluateHandle(() => {
        const t = new DataTransfer();
        t.items.add(new File(['also not wasm'], 'dropped.wasm', { type: 'application/wasm' }));
        return t;
      });
      await page.getByRole('group', { name: 'Upload a module' }).dispatchEvent('drop', { dataTransfer: data });
      await page.getByText('dropped.wasm was refused').waitFor();
    }));

  test('a good module is accepted and has a page', { skip: unbuilt }, () =>
    onPage({}, async (page) => {
      await page.goto('/modules');
      await page.getByLabel('choose a file').setInputFiles(wasm);
      const accepted = page.getByRole('link', { name: /was accepted$/ });
      await accepted.waitFor({ timeout: 60_000 });
      await accepted.click();
      for (const name of ['Columns it reads', 'Outputs', 'Parameters', 'Checks', 'Used by']) {
        await page.getByRole('heading', { name, exact: true }).waitFor();
      }
      await page.getByText(/^[0-9a-f]{64}$/).waitFor();
      await page.getByText('No run has used it yet.').waitFor();
      id.module = page.url().split('/').at(-1);
    }));

  test('a stored metric is tried on a finished A/B test, from its own page', { skip: unbuilt }, () =>
    onPage({}, async (page, p) => {
      p.expect(/400/);
      const e = await call('POST', '/experiments', { name: 'trials' });
      const run = await call('POST', '/runs', { experiment_id: e.id, name: 'to try on' });
      const want = abResult();
      await call('PUT', `/runs/${run.id}/artifacts/abtest/results.json`, json(want), 'application/octet-stream');
      const upload = (name) => call('POST', '/modules', readFileSync(built(name)), 'application/wasm');
      const loss = await upload('log_loss');
      const kappa = await upload('cohen_kappa');
      // The same metric in other bytes: an empty custom section named "b" at the end.
      const again = Buffer.concat([readFileSync(built('cohen_kappa')), Buffer.from([0, 2, 1, 0x62])]);
      const other = await call('POST', '/modules', again, 'application/wasm');
      await page.goto(`/modules/${kappa.sha256}`);
      await page.getByRole('region', { name: 'Other versions' }).getByRole('link', { name: /^cohen_kappa/ }).click();
      await page.getByText(other.sha256).waitFor();
      const metrics = async () => (await call('GET', `/runs/${run.id}/abtest`)).metrics;

      // From the module's page: the form is open on it and has the keyboard.
      await page.goto(`/modules/${loss.sha256}`);
      await page.getByText('No other module has this name.').waitFor();
      await page.getByRole('link', { name: 'Try on to try on' }).click();
      await page.getByRole('heading', { level: 1, name: 'A/B test of to try on' }).waitFor();
      const part = page.getByRole('region', { name: 'Try a metric' });
      const choice = part.getByLabel('Module');
      await page.waitForFunction(() => document.activeElement?.tagName === 'SELECT');
      assert.equal(await choice.inputValue(), loss.sha256);

      // What is no value of the parameter is told beside it, and nothing is sent.
      const epsilon = part.getByLabel('epsilon');
      assert.equal(await epsilon.inputValue(), '1e-15');
      await epsilon.fill('0.9');
      await page.keyboard.press('Enter');
      await part.getByText('0.9 is too large: at most 0.5.').waitFor();
      assert.equal(await epsilon.getAttribute('aria-invalid'), 'true');
      assert.deepEqual(await accessibilityFaults(page), []);
      assert.equal((await metrics()).length, want.metrics.length);

      // A result comes into the list; the same module and parameters again take its place.
      const cards = page.getByRole('article');
      const start = async () => {
        const answer = page.waitForResponse((r) => r.request().method() === 'POST');
        await part.getByRole('button', { name: 'Run on this test' }).click();
        return (await answer).status();
      };
      await epsilon.fill('0.01');
      assert.equal(await start(), 201);
      await part.getByRole('status').getByText(/^✓\s*log_loss [\d.]+ gave its result in/).waitFor();
      const card = page.getByRole('article', { name: /^log_loss/ });
      await card.getByText('epsilon=0.01').waitFor();
      assert.equal(await cards.count(), want.metrics.length + 1);
      assert.equal(await start(), 201);
      assert.equal(await cards.count(), want.metrics.length + 1);
      const kept = await metrics();
      assert.deepEqual(kept.map((m) => m.params), [...want.metrics.map((m) => m.params), { epsilon: 0.01 }]);
      await epsilon.fill(''); // the default
      assert.equal(await start(), 201);
      await card.nth(1).waitFor();
      assert.equal(await cards.count(), want.metrics.length + 2);
      assert.equal((await metrics()).at(-1).params, undefined);

      // On the rows of each class too, in the place of the result of before.
      await part.getByLabel('Slices by').fill('class, domain');
      assert.equal(await start(), 201);
      const sliced = (await metrics()).at(-1).slices;
      assert.deepEqual(sliced.slice(0, 4).map((s) => [s.by, s.value, s.rows, s.error]), ['ALLOW', 'ESCALATION', 'DENY', 'REFUSE'].map((l) => ['class', l, 30, undefined]));
      await card.getByText(`${sliced.length} slices of the rows`).click();
      await card.getByRole('heading', { name: 'class = DENY 30 rows' }).waitFor();
      assert.equal(await cards.count(), want.metrics.length + 2);

      // Its value of each row is a column of the samples, which sorts them.
      const column = kept.at(-1).outputs.find((o) => o.kind === 'column');
      const head = page.getByRole('columnheader', { name: new RegExp(`${column.name.replace('.', '\\.')}.*epsilon=0`) });
      await head.getByRole('button').click();
      assert.equal(await head.getAttribute('aria-sort'), 'descending');
      const most = column.values.indexOf(Math.max(...column.values));
      const first = page.getByRole('table', { name: 'Samples' }).locator('tbody tr').first();
      assert.equal(await first.locator('td').first().innerText(), String(want.samples[most].index));
      await page.getByText(/^Columns of metrics: \d+ of \d+ shown$/).click();
      await page.getByRole('checkbox', { name: /^calibration|^margin/ }).check();
      await page.getByRole('columnheader', { name: 'margin' }).waitFor();

      // A refusal is told in place, and the list stays.
      const before = await cards.count();
      const names = await choice.locator('option').allInnerTexts();
      for (const m of [kappa, other]) assert.ok(names.includes(`cohen_kappa ${m.version} · ${m.sha256.slice(0, 10)}`), names.join(', '));
      await choice.selectOption(kappa.sha256);
      await part.getByLabel('weights').fill('cubic');
      assert.equal(await start(), 400);
      await part.getByRole('alert').getByText(/cohen_kappa/).waitFor();
      assert.equal(await part.getByLabel('weights').inputValue(), 'cubic');
      assert.equal(await cards.count(), before);
      await part.getByLabel('weights').fill('linear');
      assert.equal(await start(), 201);
      await page.getByRole('article', { name: /^cohen_kappa/ }).getByText('weights="linear"').waitFor();
      assert.equal(await part.getByRole('alert').count(), 0);
      id.tried = run.id;
    }));

  test('a configuration with an unknown key is refused in the form, with its line', () =>
    onPage({}, async (page, p) => {
      p.expect(/400/);
      await page.goto('/');
      await page.getByRole('button', { name: 'New run' }).click();
      await page.getByLabel('Configuration').selectOption('');
      await page.getByLabel('Pipeline (YAML)').fill('name: broken\n\ntraining:\n  lora_rr: 16\n');
      await page.getByRole('button', { name: 'Start' }).click();
      const alert = page.getByRole('dialog').getByRole('alert');
      await alert.getByText('Line 4').waitFor();
      assert.match(await alert.innerText(), /lora_rr/);
      assert.equal(await page.getByLabel('Pipeline (YAML)').inputValue(), 'name: broken\n\ntraining:\n  lora_rr: 16\n');
    }));

  test('a new run is filed in the experiment where it was asked for, whatever its configuration is named', () =>
    onPage({}, async (page) => {
      await seed();
      await page.goto(`/experiments/${id.experiment}`);
      await page.getByRole('button', { name: 'New run' }).click();
      await page.getByLabel('Configuration').selectOption('');
      await page.getByLabel('Pipeline (YAML)').fill('name: elsewhere\ndevice: cpu\ndata: {input_path: none.jsonl}\nmodel: {base_model: none}\n');
      await page.getByRole('button', { name: 'Start', exact: true }).click();
      await page.waitForURL(/\/runs\//);
      const run = await call('GET', `/runs/${page.url().split('/runs/')[1]}`);
      assert.equal(run.experiment_id, id.experiment);
      assert.ok(!(await call('GET', '/experiments')).items.some((e) => e.name === 'elsewhere'));
    }));

  test('the language is switched in the header and remembered', () =>
    onPage({}, async (page) => {
      await seed();
      await page.goto(`/experiments/${id.experiment}`);
      await page.getByRole('button', { name: 'New run' }).waitFor();
      await page.getByLabel('Language').selectOption('ja');
      await page.getByRole('button', { name: '新しい実行' }).waitFor();
      assert.equal(await page.evaluate(() => document.documentElement.lang), 'ja');
      await page.reload();
      await page.getByRole('button', { name: '新しい実行' }).waitFor();
      await page.goto(`/runs/${id.run1}/abtest`);
      await page.getByRole('heading', { level: 1, name: 'lora r=8 の A/B テスト' }).waitFor();
    }));

  test('a Japanese browser gets Japanese at once', () =>
    onPage({ locale: 'ja-JP' }, async (page) => {
      await page.goto('/modules');
      await page.getByRole('heading', { level: 1, name: '指標モジュール' }).waitFor();
    }));

  test('dark follows the system, can be chosen, and both palettes are legible', () =>
    onPage({ colorScheme: 'dark' }, async (page) => {
      await page.goto('/');
      await page.getByRole('heading', { level: 1 }).waitFor();
      const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
      const legible = async (which) => {
        for (const c of await contrasts(page)) assert.ok(c.ratio >= 4.5, `${which}: ${c.text} on ${c.ground}: ${c.ratio.toFixed(2)}`);
      };
      const dark = await ground();
      await legible('dark');
      await page.getByLabel('Colours').selectOption('light');
      const light = await ground();
      assert.notEqual(light, dark);
      await legible('light');
      await page.reload();
      await page.getByRole('heading', { level: 1 }).waitFor();
      assert.equal(await ground(), light);
      await page.getByLabel('Colours').selectOption('system');
      assert.equal(await ground(), dark);
    }));

  test('an unknown path is a page of its own', () =>
    onPage({}, async (page) => {
      await page.goto('/no/such/page');
      await page.getByRole('heading', { level: 1, name: 'Page not found' }).waitFor();
      await page.getByRole('link', { name: 'To the experiments' }).click();
      await page.getByRole('heading', { level: 1, name: 'Experiments' }).waitFor();
      await page.goBack();
      await page.getByRole('heading', { level: 1, name: 'Page not found' }).waitFor();
    }));

  test('a run that is not there says so and offers to try again', () =>
    onPage({}, async (page, p) => {
      p.expect(/404/);
      await page.goto('/runs/00000000-0000-0000-0000-000000000000');
      await page.getByRole('alert').getByText(/There is no such thing here/).waitFor();
      await page.getByRole('button', { name: 'Try again' }).waitFor();
    }));

  const everyPage = () => [
    ['/', 'Experiments'],
    [`/experiments/${id.experiment}`, 'seeded'],
    [`/runs/${id.run1}`, 'lora r=8'],
    [`/runs/${id.run1}/abtest`, 'A/B test of lora r=8'],
    ['/queue', 'Queue'],
    ['/modules', 'Metric modules'],
    ...(id.module ? [[`/modules/${id.module}`, '']] : []),
    ...(id.tried ? [[`/runs/${id.tried}/abtest?module=${id.module}`, 'A/B test of to try on']] : []),
    ['/nowhere', 'Page not found'],
  ];

  test('no page is wider than a phone, and the main links are at its foot', () =>
    onPage({ width: 390, height: 844 }, async (page) => {
      await seed();
      for (const [path, title] of everyPage()) {
        await page.goto(path);
        await page.getByRole('heading', { level: 1, name: title }).waitFor();
        await page.waitForTimeout(300); // charts
        const [content, view] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
        assert.equal(view, 390, `${path}: the layout grew to ${view}`);
        assert.ok(content <= 390, `${path}: ${content} px wide`);
      }
      const nav = await page.getByRole('navigation', { name: 'Main' }).boundingBox();
      assert.ok(nav.y + nav.height >= 843 && nav.height >= 44, json(nav));
    }));

  test('every page has one heading, and every control a name', () =>
    onPage({}, async (page) => {
      await seed();
      for (const [path, title] of everyPage()) {
        await page.goto(path);
        await page.getByRole('heading', { level: 1, name: title }).waitFor();
        await page.waitForTimeout(300);
        assert.deepEqual(await accessibilityFaults(page), [], path);
      }
      await page.goto('/');
      await page.getByRole('button', { name: 'New run' }).click();
      await page.getByLabel('Pipeline (YAML)').waitFor();
      assert.deepEqual(await accessibilityFaults(page), [], 'new run');
    }));

  test('the keyboard reaches the content, and focus can be seen', () =>
    onPage({}, async (page) => {
      await page.goto('/');
      await page.getByRole('main').getByRole('link', { name: 'seeded' }).waitFor();
      await page.keyboard.press('Tab');
      assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to the content');
      const reached = [];
      for (let i = 0; i < 40; i++) {
        await page.keyboard.press('Tab');
        const got = await page.evaluate(() => {
          const el = document.activeElement;
          return { text: el.textContent.trim(), inMain: !!el.closest('main'), outline: getComputedStyle(el).outlineStyle };
        });
        assert.notEqual(got.outline, 'none', got.text);
        reached.push(got.text);
        if (got.text === 'seeded' && got.inMain) break;
      }
      assert.ok(reached.includes('seeded'), reached.join(' | '));
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { level: 1, name: 'seeded' }).waitFor();
      await page.waitForFunction(() => document.activeElement?.tagName === 'MAIN');
    }));

  test('names and texts of others cannot hide or reorder anything', () =>
    onPage({}, async (page) => {
      const evil = 'a\u202eb\u200bc\u0085d';
      const shown = 'a\\u202eb\\u200bc\\u0085d';
      const e = await call('POST', '/experiments', { name: evil, description: evil });
      const run = await call('POST', '/runs', { experiment_id: e.id, name: evil, params: { [evil]: evil } });
      const result = abResult();
      Object.assign(result.metrics[0], { name: evil, log: `${evil}\nsecond`, notes: [evil] });
      result.samples[0].text = evil;
      await call('PUT', `/runs/${run.id}/artifacts/abtest/results.json`, json(result), 'application/octet-stream');
      const hidden = () => page.evaluate(() => {
        const all = document.title + document.documentElement.textContent +
          [...document.querySelectorAll('[title],[aria-label]')].map((n) => `${n.title}${n.ariaLabel}`).join('');
        return /[\u202e\u200b\u0085]/.test(all);
      });
      for (const path of ['/', `/experiments/${e.id}`, `/runs/${run.id}`, `/runs/${run.id}/abtest`]) {
        await page.goto(path);
        await page.getByText(shown).first().waitFor();
        assert.equal(await hidden(), false, path);
      }
      await page.getByText('What the module wrote').first().click();
      await page.getByText(`${shown}\nsecond`).waitFor();
      // What is edited stays as it is.
      await page.goto(`/experiments/${e.id}`);
      await page.getByRole('button', { name: 'Edit' }).click();
      assert.equal(await page.getByRole('dialog').getByLabel('Name').inputValue(), evil);
    }));

  test('a banner tells of a lost server, and the page goes on when it is back', () =>
    onPage({}, async (page, p) => {
      p.expect(/ERR_|Failed to load/);
      await seed();
      const run = await call('POST', '/runs', { experiment_id: id.experiment, name: 'through a restart' });
      await call('POST', `/runs/${run.id}/metrics`, { a: [0, 1].map((step) => ({ step, time: Date.now(), value: 1 })) });
      await page.goto(`/runs/${run.id}`);
      await page.getByRole('application', { name: /^a by Step: a 1\. / }).waitFor();
      const { dir, port } = shared.server;
      await shared.server.stop();
      const banner = page.getByText('The server cannot be reached.');
      await banner.waitFor({ timeout: 15_000 });
      shared.server = await startServer({ data: dir, port });
      await banner.waitFor({ state: 'detached', timeout: 20_000 });
      await call('POST', `/runs/${run.id}/metrics`, { a: [{ step: 2, time: Date.now(), value: 0.5 }] });
      await page.getByRole('application', { name: /^a by Step: a 0\.5\. / }).waitFor({ timeout: 20_000 });
    }));
});
