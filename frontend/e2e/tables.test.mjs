// Every chart has its table: each kind of panel that there is, and whatever is drawn on the pages.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import '../tests/register.mjs'; // for the sources of src
import { missing, setUp } from './browser.mjs';
import { abResult, curves } from './fixtures.mjs';

const { kinds } = await import('../src/panels/spec.ts');

/** Kinds that draw nothing: a text, and files of others as they are. Any other has a table. */
const drawNothing = ['markdown', 'files'];
/** What a panel of a kind is of. */
const specs = {
  line: { metrics: ['train/loss'] }, scatter: { columns: ['param:lora_r'], metrics: ['eval/accuracy'] }, bar: { metrics: ['eval/accuracy'] },
  parallel: { columns: ['param:lora_r', 'param:lr', 'metric:eval/accuracy'], metrics: ['eval/accuracy'] }, importance: { metrics: ['eval/accuracy'] },
  histogram: { metrics: ['eval/accuracy'] }, markdown: { text: 'Words.' }, files: { path: 'notes' },
};
const book = '# Plan\n\n```triality chart id=drawn\nruns: "experiment = seeded"\ntype: line\ny: [train/loss]\n```\n\n```triality chart id=bars\nruns: "experiment = seeded"\ntype: bar\ny: [eval/accuracy]\n```\n';

describe('every chart has its table', { skip: missing, timeout: 180_000 }, () => {
  const { call, onPage } = setUp({ books: { 'plan.md': book } });
  const id = { runs: [] };

  before(async () => {
    id.experiment = (await call('POST', '/experiments', { name: 'seeded' })).id;
    for (let i = 1; i <= 6; i++) {
      const r = await call('POST', '/runs', { experiment_id: id.experiment, name: `run ${i}`, params: { lora_r: String(4 * (1 + (i % 3))), lr: String(1e-4 * i) } });
      await call('POST', `/runs/${r.id}/metrics`, curves(i, 60));
      await call('PUT', `/runs/${r.id}/artifacts/abtest/results.json`, JSON.stringify(abResult(40)), 'application/octet-stream');
      await call('PUT', `/runs/${r.id}/artifacts/notes/1.txt`, 'a note', 'text/plain');
      await call('PATCH', `/runs/${r.id}`, { status: 'finished' });
      id.runs.push(r.id);
    }
    id.panels = encodeURIComponent(JSON.stringify(kinds.map((kind, i) => ({ id: `${kind}-1`, kind, title: `a ${kind}`, pinned: true, order: i, ...specs[kind] }))));
  });

  test('each kind of panel', () =>
    onPage({ width: 1440, height: 2400 }, async (page) => {
      await page.goto(`/experiments/${id.experiment}?layout=charts&panels=${id.panels}`);
      for (const kind of kinds) {
        const panel = page.getByRole('figure', { name: `a ${kind}`, exact: true });
        await panel.scrollIntoViewIfNeeded();
        if (drawNothing.includes(kind)) {
          await panel.getByText(kind === 'files' ? 'a note' : 'Words.').first().waitFor();
          assert.equal(await panel.locator('.body').locator('canvas, svg').count(), 0, `a ${kind} draws`);
          continue;
        }
        const switched = panel.getByRole('button', { name: 'As a table' });
        if (await switched.count()) {
          await panel.locator('.body').locator('canvas, svg').first().waitFor();
          // A table is of what has come: the label of lines lists them then.
          await page.waitForFunction((el) => !/: (\.|。)/.test(el.querySelector('[role=application]')?.getAttribute('aria-label') ?? ''), await panel.elementHandle());
          await switched.click();
        }
        await panel.locator('table tbody tr').first().waitFor().catch(() => assert.fail(`a panel of kind ${kind} has no table with rows`));
        const [head, row] = await panel.locator('table').first().evaluate((t) => [t.tHead.rows[0].cells.length, t.tBodies[0].rows[0].cells.length]);
        assert.ok(head >= 2 && row === head, `${kind}: ${head} heads, ${row} cells`);
      }
    }));

  /** What is drawn in main and has no table in its own figure or section. */
  const untold = (page) => page.evaluate(() => {
    const drawn = [...document.querySelectorAll('main :is(canvas, svg)')].filter((el) => {
      const box = el.getBoundingClientRect();
      return box.width > 40 && box.height > 14 && el.checkVisibility({ visibilityProperty: true });
    });
    const told = (el) => {
      for (let at = el.parentElement; at; at = at.parentElement) {
        if (at.matches('table') || at.querySelector('table')) return true;
        if (at.matches('figure, section, article, main')) return false;
      }
      return false;
    };
    return { drawn: drawn.length, untold: drawn.filter((el) => !told(el)).map((el) => el.closest('figure, section, article')?.outerHTML.slice(0, 200) ?? el.outerHTML.slice(0, 200)) };
  });

  for (const [name, path, least] of [
    ['run', () => `/runs/${id.runs[0]}`, 3], ['A/B', () => `/runs/${id.runs[0]}/abtest`, 1], ['comparison', () => `/compare?runs=${id.runs[0]},${id.runs[1]}`, 3],
    ['notebook', () => '/notebooks/plan.md', 2], ['runs', () => `/experiments/${id.experiment}`, 3],
  ]) {
    test(`what the ${name} page draws`, () =>
      onPage({ width: 1440, height: 2400 }, async (page) => {
        await page.goto(path());
        let seen;
        for (let tries = 0; (seen = await untold(page)).drawn < least; tries++) {
          assert.ok(tries < 100, `${seen.drawn} charts are drawn`);
          await page.waitForTimeout(200);
        }
        // Some show their table in the chart's place, so that it is asked for while the chart is known to be drawn.
        for (let tries = 0; seen.untold.length; tries++) {
          assert.ok(tries < 50, `without a table: ${seen.untold.join('\n')}`);
          await page.evaluate(() => document.querySelectorAll('main button[aria-pressed=false]').forEach((b) => /^(As a table|Table)$/.test(b.ariaLabel ?? b.textContent.trim()) && b.click()));
          await page.waitForTimeout(200);
          seen = await untold(page);
        }
        assert.ok((await page.locator('main table tbody tr').count()) > 0);
      }));
  }
});
