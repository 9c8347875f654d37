// axe on every page that an address leads to, in four forms: desktop, dark, phone, Japanese.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { before, describe, test } from 'node:test';
import '../tests/register.mjs'; // for the sources of src
import { missing, setUp } from './browser.mjs';
import { abResult, curves, dataSummary, replacement } from './fixtures.mjs';

const { match, table } = await import('../src/lib/routes.ts');
const { tabs } = await import('../src/run/tabs.ts');
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const json = JSON.stringify;
const metric = new URL('../../wasm-metrics/dist/cohen_kappa.wasm', import.meta.url);

describe('axe finds nothing', { skip: missing, timeout: 240_000 }, () => {
  const { call, onPage } = setUp({ books: { 'plan.md': '# Plan\n\nProse.\n\n```triality convert id=data\ndata:\n  input_path: rows.jsonl\n```\n' } });
  const id = {};

  before(async () => {
    id.experiment = (await call('POST', '/experiments', { name: 'seeded', description: 'Two runs of one training' })).id;
    for (let i = 1; i <= 2; i++) {
      const r = await call('POST', '/runs', { experiment_id: id.experiment, name: `lora r=${8 * i}`, params: { lora_r: String(8 * i) }, ...(i === 2 ? { parent_id: id[1] } : {}) });
      await call('POST', `/runs/${r.id}/metrics`, curves(i));
      await call('PATCH', `/runs/${r.id}`, { status: 'finished' });
      id[i] = r.id;
      await call('PUT', `/runs/${r.id}/artifacts/abtest/results.json`, json(abResult()), 'application/octet-stream');
    }
    await call('PUT', `/runs/${id[1]}/artifacts/convert/summary.json`, json(dataSummary), 'application/octet-stream');
    await call('PUT', `/runs/${id[1]}/artifacts/replace/replacement.json`, json(replacement), 'application/octet-stream');
    if (existsSync(metric)) id.module = (await call('POST', '/modules', readFileSync(metric), 'application/wasm')).sha256;
    id.report = (await call('POST', '/reports', { title: 'For the review', body: { language: 'en', blocks: [
      { kind: 'prose', text: '# Why\n\nBecause *so*.' }, { kind: 'verdict', run: id[1] }, { kind: 'runs', runs: [id[1], id[2]], metrics: ['eval/accuracy'] },
      { kind: 'curves', runs: [id[1], id[2]], metrics: ['train/loss'] }, { kind: 'paired', runs: [id[1], id[2]] }, { kind: 'appendix' }, { kind: 'data', run: id[1] },
    ] } })).id;
    id.shared = (await call('POST', `/reports/${id.report}/shares`)).path;
  });

  const forms = {
    desktop: { width: 1440, height: 900 }, dark: { width: 1440, height: 900, colorScheme: 'dark' },
    phone: { width: 390, height: 844 }, japanese: { width: 1280, height: 900, locale: 'ja-JP' },
  };
  const pages = () => [
    '/', '/runs', `/experiments/${id.experiment}`, `/experiments/${id.experiment}?group=attribute:parent`,
    ...tabs.map((tab) => `/runs/${id[1]}?tab=${tab}`),
    `/runs/${id[1]}/abtest`, `/compare?runs=${id[1]},${id[2]}`, '/queue', '/escalations', '/modules', ...(id.module ? [`/modules/${id.module}`] : []),
    '/reports', `/reports/${id.report}`, id.shared, '/notebooks', '/notebooks/plan.md', '/guide', '/nowhere',
  ];
  test('every page that an address leads to is walked', () => {
    const walked = new Set(pages().map((path) => match(path.split('?')[0]).page));
    const all = [...new Set(table.map(([, make]) => make(['', 'x']).page))].filter((page) => page !== 'module' || id.module);
    assert.deepEqual(all.filter((page) => !walked.has(page)), []);
    assert.deepEqual(pages().filter((path) => match(path.split('?')[0]).page === 'none'), [id.shared, '/nowhere']);
  });
  for (const [form, options] of Object.entries(forms)) {
    test(form, () =>
      onPage(options, async (page, p) => {
        p.expect(/404/);
        const faults = [];
        for (const path of pages()) {
          await page.goto(path);
          await page.getByRole('main').getByRole('heading').first().waitFor({ state: 'attached' });
          await page.waitForFunction(() => !document.querySelector('main [aria-busy=true]'), undefined, { timeout: 40_000 }).catch(async () => {
            throw new Error(`${path} stays busy: ${await page.evaluate(() => [...document.querySelectorAll('main [aria-busy=true]')].map((e) => e.cloneNode().outerHTML).join(' '))}`);
          });
          await page.waitForTimeout(350); // colours that fade in, and boxes that are found to scroll
          // The page's policy allows no script of others: axe is run by the browser's debugger, beside it.
          await page.evaluate(axe);
          const found = await page.evaluate(async () => {
            const got = await globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] });
            return got.violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.html.slice(0, 160)}: ${n.any.concat(n.all, n.none).map((x) => x.message).join('; ').slice(0, 200)}`));
          });
          faults.push(...found.map((f) => `${path} ${f}`));
          if (form === 'phone') {
            const beyond = await page.evaluate(() =>
              [...document.querySelectorAll('.tabbar a')].filter((a) => [...a.childNodes].some((n) => {
                const range = document.createRange();
                range.selectNode(n);
                const b = range.getBoundingClientRect();
                return b.width > 0 && (b.left < 2 || b.right > innerWidth - 2);
              })).length);
            if (beyond) faults.push(`${path}: the tab bar's words touch the edge`);
          }
        }
        assert.deepEqual(faults, []);
      }));
  }
});
