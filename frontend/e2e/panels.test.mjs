// Panels on a comparison of runs: the wheel, zoom, outliers, NaN, log axes, tooltips, arranging, exports, keyboard.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import axe from 'axe-core';
import { missing, setUp } from './browser.mjs';
import { makeSweep } from './panels-data.mjs';

const words = {
  en: { locale: 'en-US', outside: /1 line out of range/, all: 'Whole range shown', nan: /NaN from Step 455/, log: 'Log axis', smoothing: 'Smoothing', menu: 'What to do with the panel', later: 'Move back', hide: 'Hide', pin: 'Pin to the top', pinned: 'Pinned', wider: 'Wider', whole: 'Show all', table: 'As a table', hidden: /1 hidden panel too/, add: 'Add a panel', kind: 'Kind', importance: /^Importance \(ε²\)/, more: /… and 4 more/ },
  ja: { locale: 'ja-JP', outside: /1 本が範囲外/, all: '全範囲を表示中', nan: /ステップ 455 から NaN/, log: '対数', smoothing: '平滑化', menu: 'このパネルの操作', later: '後ろへ移動', hide: '隠す', pin: '上に固定', pinned: '固定', wider: '幅を広く', whole: '全体を表示', table: '表で見る', hidden: /隠した 1 枚も表示/, add: 'パネルを追加', kind: '種類', importance: /^重要度 \(ε²\)/, more: /… ほか 4 本/ },
};

describe('panels', { skip: missing, timeout: 240_000 }, () => {
  const { call, onPage } = setUp();
  let sweep, long;

  before(async () => {
    sweep = await makeSweep(call, { steps: 800 });
    // A long run, whose middle has a narrow spike that a thinned series shows as one point.
    const experiment = (await call('POST', '/experiments', { name: 'long' })).id;
    const run = await call('POST', '/runs', { experiment_id: experiment, name: 'long', status: 'finished' });
    const other = await call('POST', '/runs', { experiment_id: experiment, name: 'other', status: 'finished' });
    for (let from = 0; from < 60_000; from += 20_000) {
      await call('POST', `/runs/${run.id}/metrics`, { loss: Array.from({ length: 20_000 }, (_, i) => ({ step: from + i, time: 1e12 + from + i, value: 2 + Math.sin((from + i) / 3) })) });
    }
    await call('POST', `/runs/${other.id}/metrics`, { loss: [0, 59_999].map((step) => ({ step, time: 1e12 + step, value: 1 })) });
    long = { run: run.id, other: other.id, experiment };
  });

  const compare = (page, runs = sweep.runs, experiment = sweep.experiment) => page.goto(`/experiments/${experiment}?compare=${runs.join(',')}&layout=charts`);
  const panel = (page, name) => page.getByRole('figure', { name, exact: true });
  const plot = (page, name) => panel(page, name).getByRole('application');
  const drawn = async (page, name) => {
    const p = plot(page, name);
    await p.scrollIntoViewIfNeeded();
    await p.locator('canvas').first().waitFor();
    // Its label lists the lines, once there are some.
    await page.waitForFunction((el) => !/: (\.|。)/.test(el.getAttribute('aria-label')), await p.elementHandle());
    await page.waitForTimeout(150); // one more frame
    return p;
  };

  test('the wheel over a chart scrolls the page, and dragging zooms and fetches finer points', () =>
    onPage({ height: 400 }, async (page) => {
      await compare(page, [long.run, long.other], long.experiment);
      const p = await drawn(page, 'loss');
      await p.evaluate((el) => el.scrollIntoView({ block: 'center' }));
      const box = await p.boundingBox();
      await page.mouse.move(box.x + box.width / 2, box.y + 60);
      const scrolled = () => p.evaluate((el) => { let sum = 0; for (let at = el; at; at = at.parentElement) sum += at.scrollTop; return sum; });
      const before = await scrolled();
      assert.ok(before > 60, 'there is something to scroll');
      await page.mouse.wheel(0, -50);
      for (let tries = 0; (await scrolled()) >= before; tries++) {
        assert.ok(tries < 50, 'the wheel scrolls');
        await page.waitForTimeout(50);
      }

      const at = await p.boundingBox();
      const over = await p.locator('.u-over').boundingBox();
      const asked = page.waitForRequest((r) => r.url().endsWith('/api/v1/series') && r.postDataJSON().from !== undefined);
      await page.mouse.move(over.x + over.width * 0.5, at.y + 50);
      await page.mouse.down();
      await page.mouse.move(over.x + over.width * 0.55, at.y + 55, { steps: 4 });
      await page.mouse.up();
      const range = (await asked).postDataJSON();
      assert.ok(range.from > 28_000 && range.to < 35_000 && range.max_points >= 2000, JSON.stringify(range));
      await panel(page, 'loss').getByRole('button', { name: words.en.whole }).waitFor();
      // What is drawn is finer: the exported points lie close, which 600 of 60,000 do not.
      await page.waitForTimeout(500);
      const csv = await saved(page, 'loss', 'CSV');
      const steps = csv.split('\n').filter((l) => l.startsWith('long,')).map((l) => Number(l.split(',')[1]));
      assert.ok(steps[11] - steps[1] <= 30, `steps ${steps.slice(0, 12)}`);
      await p.dblclick({ position: { x: 200, y: 60 } });
      await panel(page, 'loss').getByRole('button', { name: words.en.whole }).waitFor({ state: 'detached' });
    }));

  async function saved(page, name, kind) {
    await panel(page, name).getByRole('button', { name: words.en.menu }).click();
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: `Save as ${kind}` }).click()]);
    return readFileSync(await file.path(), kind === 'PNG' ? undefined : 'utf8');
  }

  test('a panel is saved as PNG, SVG and CSV', () =>
    onPage({}, async (page) => {
      await compare(page);
      await drawn(page, 'train/loss');
      // What differs between the runs, by which they are named, is known after the curves are drawn.
      let svg = await saved(page, 'train/loss', 'SVG');
      for (const end = Date.now() + 20_000; !svg.includes('lora_r=32') && Date.now() < end; ) svg = await saved(page, 'train/loss', 'SVG');
      assert.match(svg, /^<svg xmlns.*train\/loss.*lora_r=32 · lr=2e-4/s);
      assert.ok(svg.split('<path').length > 12, 'a line for each run');
      const png = await saved(page, 'train/loss', 'PNG');
      assert.deepEqual([...png.subarray(1, 4)].map((c) => String.fromCharCode(c)).join(''), 'PNG');
      assert.ok(png.length > 20_000, String(png.length));
      const csv = await saved(page, 'train/loss', 'CSV');
      assert.match(csv, /^series,x,value,smoothed\nlora_r=4 · lr=2e-4,0,/);
      assert.match(csv, /lora_r=8 · lr=2e-4,455,NaN/);
    }));

  for (const [lang, w] of Object.entries(words)) {
    test(`a diverged run is outside, NaN is said and the tooltip names the nearest line first (${lang})`, () =>
      onPage({ locale: w.locale, height: 1000 }, async (page) => {
        await compare(page);
        const p = await drawn(page, 'train/loss');
        const figure = panel(page, 'train/loss');
        await figure.getByText(w.nan).waitFor();
        await figure.getByText(w.outside).waitFor();
        await figure.locator('button.note').click();
        await figure.getByText(w.all).waitFor();
        await figure.locator('button.note').click();
        await figure.getByText(w.outside).waitFor();

        await p.scrollIntoViewIfNeeded();
        const over = await p.locator('.u-over').boundingBox();
        await page.mouse.move(over.x + over.width * 0.7, over.y + over.height * 0.2);
        await page.mouse.move(over.x + over.width * 0.7, over.y + 2, { steps: 3 });
        const rows = figure.locator('.tip > div');
        await rows.first().waitFor();
        const names = await rows.locator('.name').allInnerTexts();
        assert.equal(names.length, 8, 'bounded in length');
        await figure.getByText(w.more).waitFor();
        const values = (await rows.locator('b').allInnerTexts()).map(Number);
        const near = values.filter((v) => v < 5);
        assert.deepEqual(near, [...near].sort((a, b) => b - a), 'at the top of the plot the greatest is the nearest');
        // The crosshair is over the other panels of steps too.
        const lines = await page.evaluate(() => [...document.querySelectorAll('.u-cursor-x')].filter((l) => !l.classList.contains('u-off') && l.getBoundingClientRect().width > 0).length);
        assert.ok(lines > 2, String(lines));
      }));

    test(`panels are arranged with the keyboard and the pointer, and stay so after a reload (${lang})`, () =>
      onPage({ locale: w.locale }, async (page) => {
        await compare(page);
        await drawn(page, 'eval/accuracy');
        const order = () => page.getByRole('region', { name: 'eval', exact: true }).locator('[data-panel]').evaluateAll((els) => els.map((e) => e.dataset.panel));
        const first = await order();
        assert.equal(first.length, 4);
        const menu = async (name, item) => {
          const figure = panel(page, name);
          await figure.scrollIntoViewIfNeeded(); // one out of sight is not drawn
          const button = figure.getByRole('button', { name: w.menu });
          await button.focus();
          await page.keyboard.press('Enter');
          await figure.getByRole('group', { name: w.menu }).getByRole('button', { name: item, exact: true }).press('Enter');
        };
        await menu('eval/accuracy', w.later);
        await page.waitForFunction((id) => document.querySelectorAll('section[aria-label=eval] [data-panel]')[1].dataset.panel === id, first[0]);
        await page.keyboard.press('Escape');
        await menu('eval/ece', w.hide);
        await menu('eval/loss', w.pin);
        await menu('train/grad_norm', w.wider);
        await page.keyboard.press('Escape');
        await page.getByRole('region', { name: w.pinned, exact: true }).waitFor();
        assert.equal((await order()).length, 2);

        // The grip moves one with the pointer.
        const [a, b] = (await order()).map((id) => page.locator(`[data-panel="${id}"]`));
        const moved = (await order())[1];
        await b.hover();
        await b.locator('.grip').dragTo(a, { targetPosition: { x: 40, y: 40 } });
        await page.waitForFunction((id) => document.querySelector('section[aria-label=eval] [data-panel]').dataset.panel === id, moved);
        const after = await order();
        await page.reload();
        await drawn(page, 'eval/accuracy');
        assert.deepEqual(await order(), after);
        await page.getByRole('region', { name: w.pinned, exact: true }).waitFor();
        assert.match(await page.locator('[data-panel="line:train/grad_norm"]').getAttribute('style'), /span 2/);
        await page.getByLabel(w.hidden).check();
        await page.locator('[data-panel="line:eval/ece"]').waitFor();
      }));

    test(`a log axis, smoothing, kinds that are added, and nothing that axe finds (${lang})`, () =>
      onPage({ locale: w.locale, colorScheme: lang === 'ja' ? 'dark' : 'light' }, async (page) => {
        await compare(page);
        await drawn(page, 'train/loss');
        const tools = page.locator('.tools').first();
        await tools.getByRole('checkbox', { name: new RegExp(w.log) }).check();
        await tools.getByRole('slider', { name: new RegExp(w.smoothing) }).fill('0.6');
        for (const kind of ['scatter', 'parallel', 'importance', 'histogram', 'bar']) {
          await page.getByRole('button', { name: w.add }).click();
          await page.getByRole('combobox', { name: w.kind }).selectOption(kind);
          await page.getByRole('dialog').getByRole('button', { name: w.add }).click();
          await page.locator(`[data-panel^="${kind}-"]`).scrollIntoViewIfNeeded();
          await page.locator(`[data-panel^="${kind}-"] svg[aria-label]`).waitFor();
        }
        await page.locator('[data-panel^="importance-"]').getByText(w.importance).first().waitFor();
        await page.locator('[data-panel^="importance-"]').getByRole('button', { name: w.table }).click();
        await page.locator('[data-panel^="importance-"]').getByRole('rowheader', { name: 'lora_r' }).waitFor();
        await drawn(page, 'train/loss');
        await panel(page, 'train/loss').getByRole('button', { name: w.table }).click();
        assert.equal(await panel(page, 'train/loss').getByRole('row').count(), 13);
        await page.evaluate(axe.source);
        const found = await page.evaluate(async () => (await globalThis.axe.run('.workspace', { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })).violations.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(' | ')}`));
        assert.deepEqual(found, []);
      }));
  }

  test('the keyboard moves the crosshair, zooms and resets', () =>
    onPage({}, async (page) => {
      await compare(page);
      const p = await drawn(page, 'train/loss');
      await p.focus();
      await page.keyboard.press('ArrowRight');
      const tip = panel(page, 'train/loss').locator('.tip');
      await tip.waitFor();
      const head = await tip.locator('p').first().innerText();
      await page.keyboard.press('Shift+ArrowRight');
      await page.waitForFunction((h) => document.querySelector('.tip p').textContent !== h, head);
      await page.keyboard.press('+');
      await panel(page, 'train/loss').getByRole('button', { name: words.en.whole }).waitFor();
      await page.keyboard.press('0');
      await panel(page, 'train/loss').getByRole('button', { name: words.en.whole }).waitFor({ state: 'detached' });
      await page.keyboard.press('Escape');
      await tip.waitFor({ state: 'detached' });
    }));

  test('a panel out of sight asks for nothing until it is seen', () =>
    onPage({ height: 500 }, async (page) => {
      const asked = new Set();
      page.on('request', (r) => r.url().endsWith('/api/v1/series') && r.postDataJSON().names.forEach((n) => asked.add(n)));
      await compare(page);
      await page.waitForLoadState('networkidle').catch(() => {});
      await page.waitForTimeout(500);
      assert.ok(!asked.has('so8t/layers.0.orthogonality_error'), [...asked].join(' '));
      await panel(page, 'so8t/layers.*.orthogonality_error').scrollIntoViewIfNeeded();
      await drawn(page, 'so8t/layers.*.orthogonality_error');
      assert.ok(asked.has('so8t/layers.0.orthogonality_error'));
    }));

  test('panels in view ask together, and each is drawn with all of its lines', () =>
    onPage({ height: 3000 }, async (page) => {
      const questions = [];
      page.on('request', (r) => r.url().endsWith('/api/v1/series') && questions.push(r.postDataJSON()));
      await compare(page);
      await page.waitForFunction(() => {
        const all = [...document.querySelectorAll('.lines')];
        return all.length >= 9 && all.every((el) => el.getAttribute('aria-busy') === 'false' && !/: \. /.test(el.getAttribute('aria-label')));
      });
      const metrics = questions.flatMap((q) => q.names);
      assert.equal(new Set(metrics).size, metrics.length, 'a metric was asked for twice');
      assert.ok(metrics.length >= 12 && questions.length <= metrics.length / 2, `${questions.length} questions for ${metrics.length} metrics`);
    }));

  test('live points of a run are appended', () =>
    onPage({}, async (page) => {
      const run = await call('POST', '/runs', { experiment_id: long.experiment, name: 'live', status: 'running' });
      const log = (step, value) => call('POST', `/runs/${run.id}/metrics`, { loss: [{ step, time: 1e12 + step, value }] });
      for (let i = 0; i < 5; i++) await log(i, 1 / (i + 1));
      await compare(page, [run.id, long.other], long.experiment);
      await drawn(page, 'loss');
      let questions = 0;
      page.on('request', (r) => r.url().endsWith('/api/v1/series') && questions++);
      await log(5, 0.03125);
      await page.waitForFunction(() => /live 0\.03125/.test(document.querySelector('[role=application]').getAttribute('aria-label')));
      assert.equal(questions, 0, 'the stream gives the point');
    }));
});
