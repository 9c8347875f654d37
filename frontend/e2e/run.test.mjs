// A run's page: its result, tabs, names, tags, notes, files, and the run again with changes. Needs bin/triality (or
// TRIALITY) and Chromium.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { accessibilityFaults, missing, setUp } from './browser.mjs';
import { abResult, curves, dataSummary, replacement } from './fixtures.mjs';

const both = [
  ['en-US', { result: 'Result', verdict: 'Do not ship B: the guardrail.', rename: 'Rename', name: 'Name of the run', save: 'Save', add: 'Add a tag: key=value', parameters: 'Parameters', notes: 'Notes', write: 'Write a note', markdown: 'Note, in Markdown', against: 'Difference to', only: /^Only the 1 that differs/, files: 'Files', download: 'Download', lineage: 'Lineage', duplicate: 'Duplicate', yaml: 'Pipeline (YAML)', planned: /^0 of 6 steps are taken over/, changes: 'Changes', refused: 'The server refused this configuration' }],
  ['ja-JP', { result: '結果', verdict: 'B は出荷しないでください。', rename: '名前を変更', name: '実行の名前', save: '保存', add: 'タグを追加: キー=値', parameters: 'パラメーター', notes: 'メモ', write: 'メモを書く', markdown: 'メモ(Markdown)', against: '比較する実行', only: /^異なる 1 件だけ/, files: 'ファイル', download: 'ダウンロード', lineage: '来歴', duplicate: '複製', yaml: 'パイプライン(YAML)', planned: /^6 ステップのうち 0 を引き継ぎます/, changes: '変更点', refused: 'この設定は受け付けられませんでした' }],
];

describe('run page', { skip: missing, timeout: 120_000 }, () => {
  const shared = setUp();
  const { call, onPage } = shared;

  async function seed() {
    const e = await call('POST', '/experiments', { name: `runs ${Math.random()}` });
    const make = async (name, params) => {
      const r = await call('POST', '/runs', { experiment_id: e.id, name, params });
      await call('POST', `/runs/${r.id}/metrics`, curves(1, 60));
      return r.id;
    };
    const run = await make('first', { lora_r: '8', lr: '1e-4' });
    const other = await make('other', { lora_r: '16', lr: '1e-4' });
    const put = (path, body, type = 'application/octet-stream') => call('PUT', `/runs/${run}/artifacts/${path}`, body, type);
    const inference = { level: 0.95, rows: 120, clusters: 60, comparisons: null, verdict: { decision: 'do_not_ship', code: 'guardrail', text: { en: 'Do not ship B: the guardrail.', ja: 'B は出荷しないでください。' } } };
    await put('abtest/results.json', JSON.stringify({ ...abResult(), inference }));
    await put('convert/summary.json', JSON.stringify(dataSummary));
    await put('replace/replacement.json', JSON.stringify(replacement));
    await put('tables/rows.csv', 'id,text\n1,"a ""quoted"",\nfield"\n2,日本語\n');
    await put('pages/own.html', '<h1>own</h1><script>document.body.append("it ran"); try { parent.document.title = "taken" } catch {}</script>', 'text/html');
    const head = Buffer.from(JSON.stringify({ __metadata__: { format: 'pt' }, 'model.weight': { dtype: 'BF16', shape: [4, 8], data_offsets: [0, 64] } }));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(head.length));
    await put('model/model.safetensors', Buffer.concat([length, head, Buffer.alloc(64)]));
    await call('PATCH', `/runs/${run}`, { status: 'finished' });
    return { run, other };
  }
  const tab = (page, name) => page.locator('nav a', { hasText: name });

  for (const [locale, w] of both) {
    test(`the first screen has the result against baseline and floor, and no folder of hashes (${locale})`, () =>
      onPage({ locale, width: 1440, height: 900 }, async (page) => {
        const { run } = await seed();
        await page.goto(`/runs/${run}`);
        const result = page.getByRole('region', { name: w.result, exact: true });
        const want = abResult();
        await result.getByText(want.arms[1].scores.macro_f1.toFixed(3), { exact: false }).first().waitFor();
        await result.getByText(w.verdict).waitFor(); // what the figures come to, beside them
        assert.match(await result.innerText(), /0\.6 \(|0\.6\(/); // the floor, naive Bayes
        const box = await result.boundingBox();
        assert.ok(box.y + box.height < 500, JSON.stringify(box));
        assert.ok((await page.evaluate(() => document.documentElement.scrollHeight)) < 3000);
        assert.deepEqual(await accessibilityFaults(page), []);
      }));

    test(`tabs stand in the address, and Back returns to them (${locale})`, () =>
      onPage({ locale }, async (page) => {
        const { run, other } = await seed();
        await page.goto(`/runs/${run}`);
        await tab(page, w.parameters).click();
        await page.getByRole('rowheader', { name: 'lora_r' }).waitFor();
        await page.getByLabel(w.against).selectOption(other);
        await page.getByText(w.only).waitFor();
        await page.getByLabel(w.only).check();
        assert.equal(await page.getByRole('region', { name: w.parameters }).getByRole('rowheader').count(), 1);
        assert.match(await page.getByRole('row', { name: /lora_r/ }).innerText(), /8\s+16/);
        await tab(page, w.lineage).click();
        await page.getByRole('rowheader', { name: 'max_logit_difference' }).waitFor();
        await page.goBack();
        await page.getByText(w.only).waitFor();
        await page.reload();
        await page.getByText(w.only).waitFor();
        assert.deepEqual(await accessibilityFaults(page), []);
      }));

    test(`name, tags and notes are changed in the page, and Markdown does no harm (${locale})`, () =>
      onPage({ locale }, async (page) => {
        const { run } = await seed();
        await page.goto(`/runs/${run}?tab=notes`);
        await page.getByRole('button', { name: w.rename }).click();
        await page.getByLabel(w.name).fill('r8 · 低い率');
        await page.getByRole('button', { name: w.save }).click();
        await page.getByRole('heading', { level: 1, name: 'r8 · 低い率' }).waitFor();
        await page.getByLabel(w.add).fill('stage=keep');
        await page.keyboard.press('Enter');
        await page.getByText('stage=keep').waitFor();
        await page.getByRole('button', { name: w.write }).click();
        await page.getByLabel(w.markdown).fill('# Seen\n\n**bold** <script>document.title="taken"</script><img src=x onerror="document.title=\'taken\'">\n\n![a picture](https://example.org/p.png) [bad](javascript:alert(1)) <form><input name=q></form>\n\n- one');
        await page.getByRole('button', { name: w.save }).click();
        await page.locator('.prose strong', { hasText: 'bold' }).waitFor();
        assert.equal(await page.locator('.prose :is(script, img, form, input, [onerror], [href^="javascript:"])').count(), 0);
        const prose = await page.locator('.prose').innerText();
        assert.doesNotMatch(prose, /\*\*|example\.org/);
        assert.match(prose, /a picture/);
        assert.doesNotMatch(await page.title(), /taken/);
        // What is shown is what was sent; it is stored a moment later.
        let stored = await call('GET', `/runs/${run}`);
        for (const end = Date.now() + 20_000; !stored.notes && Date.now() < end; ) stored = await call('GET', `/runs/${run}`);
        assert.equal(stored.name, 'r8 · 低い率');
        assert.equal(stored.tags.stage, 'keep');
        assert.match(stored.notes, /^# Seen/);
        assert.deepEqual(await accessibilityFaults(page), []);
        await page.getByRole('button', { name: /stage=keep/ }).click();
        await page.getByText('stage=keep').waitFor({ state: 'detached' });
      }));

    test(`files are a tree, and each kind is shown (${locale})`, () =>
      onPage({ locale }, async (page, p) => {
        p.expect(/Blocked script|sandbox|SecurityError|cross-origin/i);
        const { run } = await seed();
        await page.goto(`/runs/${run}?tab=artifacts`);
        await page.getByRole('link', { name: 'rows.csv' }).click();
        await page.getByRole('cell', { name: 'a "quoted", field' }).waitFor();
        await page.getByRole('link', { name: 'model.safetensors' }).click();
        await page.getByRole('cell', { name: '4 × 8' }).waitFor();
        await page.getByRole('link', { name: 'replacement.json' }).click();
        await page.getByText('"max_logit_difference": 0.00000131').waitFor();
        await page.getByRole('link', { name: 'own.html' }).click();
        await page.frameLocator('iframe').getByText('it ran').waitFor();
        assert.doesNotMatch(await page.title(), /taken/);
        await page.goBack();
        await page.getByText('"max_logit_difference"').waitFor();
        assert.match(page.url(), /file=replace%2Freplacement\.json/);
        assert.deepEqual(await accessibilityFaults(page), []);
      }));

    test(`a run is started again with changes, told before what is taken over (${locale})`, () =>
      onPage({ locale }, async (page, p) => {
        p.expect(/400/);
        const dir = shared.server.dir;
        const config = `name: again\noutput_dir: ${join(dir, 'work')}\ndevice: cpu\ndata:\n  input_path: ${fileURLToPath(new URL('../../configs/sample/four_class_*.jsonl', import.meta.url))}\n  format_type: instruction\n  max_length: 64\nmodel:\n  base_model: ${join(dir, 'base')}\n  create:\n    shape: micro\n    vocab_size: 512\n    num_train_epochs: 1\ntraining:\n  num_train_epochs: 500\n  lora_r: 4\n`;
        const run = await call('POST', '/jobs', { config, name: 'again' });
        await call('POST', `/runs/${run.id}/cancel`);
        await page.goto(`/runs/${run.id}`);
        await page.getByRole('button', { name: w.duplicate }).click();
        await page.getByText(w.planned).waitFor();
        const editor = page.getByLabel(w.yaml);
        await editor.fill(config.replace('lora_r: 4', 'lora_r: 16'));
        assert.match(await page.getByRole('list', { name: w.changes }).innerText(), /lora_r: 4\s+lora_r: 16/);
        await editor.fill(config.replace('lora_r', 'lora_rr'));
        await page.getByText(w.refused).waitFor();
        await editor.fill(config.replace('lora_r: 4', 'lora_r: 16'));
        await page.getByText(w.planned).waitFor();
        assert.deepEqual(await accessibilityFaults(page), []);
        await page.getByRole('dialog').locator('button.primary').click();
        await page.waitForURL((u) => u.pathname.startsWith('/runs/') && !u.pathname.includes(run.id));
        const made = page.url().split('/').at(-1);
        assert.match((await call('GET', `/runs/${made}`)).config, /lora_r: 16/);
        await call('POST', `/runs/${made}/cancel`);
      }));
  }
});
