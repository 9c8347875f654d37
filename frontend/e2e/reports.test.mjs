// Reports on paper, reports that people put together and their links, and the A/B page. Needs bin/triality (or TRIALITY) and
// Chromium.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { accessibilityFaults, missing, setUp } from './browser.mjs';
import { abResult, curves, dataSummary, replacement } from './fixtures.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const kappa = new URL('../../wasm-metrics/dist/cohen_kappa.wasm', import.meta.url);
const forms = [
  { locale: 'en-US', width: 1440, colorScheme: 'light' }, { locale: 'en-US', width: 390, colorScheme: 'light' },
  { locale: 'en-US', width: 1440, colorScheme: 'dark' }, { locale: 'ja-JP', width: 390, colorScheme: 'dark' },
];

/** A result with a design, a guardrail that is broken and a verdict. */
function judged(extra = {}) {
  const ab = abResult();
  const estimate = (value, half) => ({ value, low: value - half, high: value + half });
  const of = (metric, role, better, a, b, half, more) => ({
    metric, role, better, rows: ab.rows, clusters: 60, effective_rows: 60, a: estimate(a, half), b: estimate(b, half), delta: estimate(b - a, half),
    standard_error: half / 2, p_value: 0.01, p_adjusted: 0.01, exact: false, method: 'cluster', margin: 0, more_rows: 0, smallest_effect: null, ...more,
  });
  const [x, y] = ab.arms.map((a) => a.scores);
  ab.inference = {
    design: { primary: 'accuracy', claim: 'superiority' }, design_hash: 'h', level: 0.95, rows: ab.rows, clusters: 60, largest_cluster: 2, tainted_rows: 0,
    comparisons: [
      of('accuracy', 'primary', 'higher', x.accuracy, y.accuracy, 0.04, { claim: 'superiority', finding: 'shown', reading: 'better' }),
      of('false_allow', 'guardrail', 'lower', 0.02, 0.11, 0.03, { claim: 'non_inferiority', margin: 0.02, finding: 'refuted', reading: 'worse' }),
      of('macro_f1', 'secondary', 'higher', x.macro_f1, y.macro_f1, 0.2, { reading: 'unclear' }),
    ],
    verdict: { decision: 'do_not_ship', code: 'guardrail_broken', args: ['accuracy', 'false_allow'], text: { en: 'Do not ship B: the sentence.', ja: 'B を採用してはいけません。この文。' }, notes: { en: ['60 groups.'], ja: ['60 グループ。'] } },
  };
  // Three trainings, and the fine-tuned model beside the two.
  const { inference } = ab;
  inference.seeds = [42, 43, 44];
  for (const c of inference.comparisons) {
    const d = c.delta.value;
    c.trainings = { a: [c.a.value, c.a.value, c.a.value], b: [], delta: [d - 0.031, d, d + 0.031], seed_error: 0.0179, row_error: 0.0123, seed_share: 0.68, more_trainings: 0 };
  }
  ab.others = [{ ...ab.arms[0], name: 'finetuned', model: 'work/demo/finetuned', scores: { accuracy: 0.777, macro_f1: 0.75 } }];
  inference.contrasts = [{ from: 'A', to: 'finetuned', comparisons: [of('accuracy', 'secondary', 'higher', x.accuracy, 0.777, 0.04, { reading: 'better' })] }, { from: 'finetuned', to: 'B', comparisons: [of('log_loss', 'secondary', 'lower', 0.3, 0.445, 0.02, { reading: 'worse' })] }];
  return { ...ab, ...extra };
}

describe('reports', { skip: missing, timeout: 120_000 }, () => {
  const { call, onPage } = setUp();


  async function seed(ab = judged(), name = 'reported') {
    const e = await call('POST', '/experiments', { name: `${name} ${Math.random()}` });
    const r = await call('POST', '/runs', { experiment_id: e.id, name, params: { 'model.base_model': 'Qwen/Qwen3-0.6B', 'training.lora_r': '16', lr: '1e-4' } });
    await call('POST', `/runs/${r.id}/metrics`, curves(1, 60));
    const put = (path, body) => call('PUT', `/runs/${r.id}/artifacts/${path}`, JSON.stringify(body), 'application/octet-stream');
    await put('abtest/results.json', ab);
    await put('convert/summary.json', dataSummary);
    await put('replace/replacement.json', replacement);
    return r.id;
  }
  const pages = (pdf) => pdf.toString('latin1').match(/\/Type\s*\/Page\b(?!s)/g).length;

  for (const format of ['A4', 'Letter']) {
    test(`on ${format} three pages stand before the appendix, the verdict on the first, and nothing is cut at the right`, () =>
      onPage({ width: 1000 }, async (page) => {
        const many = judged();
        const g = many.inference.comparisons[1];
        for (let i = 0; i < 20; i++) many.inference.comparisons.push({ ...g, metric: `a_guardrail_with_a_long_name_${i}` });
        many.samples = many.samples.map((s, i) => ({ ...s, domain: `${'domain '.repeat(i % 9)}${i % 40}`, language: `x${i % 30}` }));
        many.arms[0].model = `/models/${'a'.repeat(300)}`;
        for (const [ab, lang] of format === 'A4' ? [[judged(), 'ja'], [many, 'en']] : [[many, 'ja']]) {
          const id = await seed(ab);
          await page.goto(`/api/v1/runs/${id}/report?lang=${lang}`);
          await page.locator('.chart svg').first().waitFor();
          const all = pages(await page.pdf({ format }));
          await page.addStyleTag({ content: '.appendix { display: none }' });
          const front = pages(await page.pdf({ format }));
          assert.ok(front <= 3 && all > front, `${front} pages before the appendix, ${all} in all`);
          // As it is laid out between the margins of the paper.
          await page.setViewportSize({ width: format === 'A4' ? 680 : 703, height: 1000 });
          await page.emulateMedia({ media: 'print' });
          await page.addStyleTag({ content: '.appendix { display: block !important }' });
          await page.evaluate(() => dispatchEvent(new Event('beforeprint')));
          const seen = await page.evaluate(() => ({
            verdict: document.querySelector('.verdict').getBoundingClientRect().bottom,
            cut: [...document.querySelectorAll('main *')].filter((el) => !el.closest('svg, .chart') && el.getBoundingClientRect().width && el.getBoundingClientRect().right > innerWidth + 1).map((el) => `${el.tagName} ${el.textContent.slice(0, 60)}`),
            apart: [...document.querySelectorAll('figure')].filter((f) => !f.querySelector('table')).length,
          }));
          assert.ok(seen.verdict < 900, `the verdict ends ${seen.verdict} px down`);
          assert.deepEqual(seen.cut, []);
          assert.equal(seen.apart, 0);
          await page.emulateMedia({ media: null });
          await page.setViewportSize({ width: 1000, height: 900 });
        }
      }));
  }

  test('a link opens the report in a sandbox until it is withdrawn', () =>
    onPage({}, async (page, p) => {
      p.expect(/404/);
      const run = await seed();
      const report = await call('POST', '/reports', { title: 'For the review', body: { language: 'en', blocks: [
        { kind: 'prose', text: '# Why\n\nBecause *so*. <script>document.title = "taken"</script>' }, { kind: 'verdict', run }, { kind: 'decision', run },
        { kind: 'runs', runs: [run], metrics: ['eval/accuracy'] }, { kind: 'appendix' }, { kind: 'data', run },
      ] } });
      const share = await call('POST', `/reports/${report.id}/shares`);
      await page.goto(share.path);
      await page.getByRole('heading', { level: 1, name: 'For the review' }).waitFor();
      await page.getByText('Do not ship B: the sentence.').waitFor();
      await page.locator('.chart svg').first().waitFor();
      assert.equal(await page.title(), 'For the review');
      assert.equal(await page.evaluate(() => origin), 'null');
      assert.deepEqual(p.problems, []);
      p.expect(/Content Security Policy|violates|Refused/);
      const reached = await page.evaluate(async () => {
        try {
          return (await fetch('/api/v1/runs')).status;
        } catch {
          return 'refused';
        }
      });
      assert.equal(reached, 'refused');
      await call('DELETE', `/reports/${report.id}/shares/${share.id}`);
      const gone = await page.goto(share.path);
      assert.equal(gone.status(), 404);
      assert.ok(p.problems.length && p.problems.every((x) => /connect-src/.test(x)), String(p.problems));
      p.problems.length = 0; // the policy's own words of the refusal
    }));

  test('a metric can be tried on the run that its page lists, however many runs are newer', { skip: existsSync(kappa) ? false : 'no metrics built' }, () =>
    onPage({}, async (page) => {
      const run = await seed(judged(), 'used long ago');
      const module = await call('POST', '/modules', readFileSync(kappa), 'application/wasm');
      await call('POST', `/runs/${run}/abtest/metrics`, { module: module.sha256 });
      const e = await call('POST', '/experiments', { name: 'newer' });
      for (let i = 0; i < 30; i++) await call('POST', '/runs', { experiment_id: e.id, name: `newer ${i}` });
      await page.goto(`/modules/${module.sha256}`);
      await page.getByRole('link', { name: run }).waitFor();
      await page.getByRole('link', { name: 'Try on used long ago' }).waitFor();
      assert.equal(await page.getByText('No recent run has an A/B test').count(), 0);
    }));

  for (const form of forms) {
    test(`the A/B page says the verdict first and names its models (${Object.values(form).join(' ')})`, () =>
      onPage({ height: 900, ...form }, async (page) => {
        const ja = form.locale === 'ja-JP';
        const id = await seed();
        await page.goto(`/runs/${id}/abtest`);
        const sentence = page.getByText(ja ? 'B を採用してはいけません。この文。' : 'Do not ship B: the sentence.');
        await sentence.waitFor();
        await page.getByText(ja ? 'demo、SO8T' : 'demo, SO8T').waitFor();
        assert.ok((await sentence.boundingBox()).y < (await page.locator('.arm').first().boundingBox()).y);
        await page.getByRole('img', { name: /ECE|calibration error/ }).waitFor();
        const guard = page.getByRole('listitem').filter({ hasText: ja ? /誤許可/ : /False.allow/i });
        assert.match(await guard.innerText(), /\+9/);
        const section = (name) => page.getByRole('region', { name, exact: true });
        const trainings = section(ja ? '学習の繰り返し' : 'Trainings');
        await trainings.getByRole('rowheader', { name: '44' }).waitFor();
        assert.match(await trainings.innerText(), /0\.0179[^]*0\.0123[^]*68/);
        const others = section(ja ? 'その他のアーム' : 'Other arms');
        assert.match(await others.innerText(), ja ? /0\.777[^]*良い[^]*\+0\.145[^]*悪い/ : /0\.777[^]*better[^]*\+0\.145[^]*worse/);
        for (const by of ['finance', 'en']) await page.getByRole('rowheader', { name: new RegExp(`${by}$`) }).first().waitFor();
        assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= form.width, 'wider than the window');
        assert.deepEqual(await accessibilityFaults(page), []);
        await page.evaluate(axe);
        const found = await page.evaluate(() => window.axe.run(document.querySelector('main'), { runOnly: ['wcag2a', 'wcag2aa', 'wcag22aa'] }));
        assert.deepEqual(found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target).slice(0, 3)}`), []);
      }));
  }
});
