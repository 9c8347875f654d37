// The pages of reports: made, added to from a run, an A/B test, a comparison and a list of runs, ordered, shared, and kept from
// being overwritten by another window.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { missing, setUp } from './browser.mjs';
import { abResult, curves } from './fixtures.mjs';

const words = {
  en: {
    none: 'No reports yet', title: 'New report', make: 'Make it', text: 'Text in Markdown', add: 'Add to a report', which: 'To which report', confirm: 'Add', open: 'Open the report',
    addText: 'Text', saved: 'Saved', kind: { prose: 'Text', verdict: 'Result', decision: 'What decides', training: 'Training', paired: 'Two runs on the same rows', curves: 'Curves of several runs', runs: 'Runs side by side' },
    grip: (place, kind) => `Move block ${place}, ${kind}: arrow keys or drag`, preview: 'Preview', share: 'Share', make_link: 'Make a link', link: 'The new link', withdraw: 'Withdraw', close: 'Close', noLinks: 'There is no link.',
    conflict: 'Somebody else changed this report', keep: 'Keep mine', reportTitle: 'Title', remove: (n) => `Remove block ${n}`, undo: 'Undo', del: (x) => `Delete ${x}`, deleted: /is deleted/, all: 'Choose all',
    several: 'Several runs', search: 'Search runs', reports: 'Reports', made: 'Runs side by side', done: 'Done', find: 'Find anything',
  },
  ja: {
    none: 'レポートはまだありません', title: '新しいレポート', make: '作成', text: '文章(Markdown)', add: 'レポートに追加', which: '追加先のレポート', confirm: '追加', open: 'レポートを開く',
    addText: '文章', saved: '保存済み', kind: { prose: '文章', verdict: '結果', decision: '判定のもと', training: '学習', paired: '同じ行での二つの実行', curves: '複数の実行の推移', runs: '実行の比較' },
    grip: (place, kind) => `ブロック ${place}(${kind})を移動: 矢印キーまたはドラッグ`, preview: 'プレビュー', share: '共有', make_link: 'リンクを作る', link: '新しいリンク', withdraw: '取り消す', close: '閉じる', noLinks: 'リンクはありません。',
    conflict: 'ほかの人がこのレポートを変更しました', keep: 'こちらの内容にする', reportTitle: '題名', remove: (n) => `ブロック ${n} を取り除く`, undo: '元に戻す', del: (x) => `${x} を削除`, deleted: /を削除し/, all: 'すべて選ぶ',
    several: '複数の実行', search: '実行を検索', reports: 'レポート', made: '実行の比較', done: '完了', find: 'なんでも検索',
  },
};

for (const [lang, w] of Object.entries(words)) {
  describe(`reports in ${lang}`, { skip: missing, timeout: 120_000 }, () => {
    const { call, onPage } = setUp();
    const form = lang === 'en' ? { width: 1440, height: 900, locale: 'en-US' } : { width: 390, height: 844, locale: 'ja-JP', colorScheme: 'dark' };
    const wide = form.width > 1200;
    const id = {};

    before(async () => {
      const e = await call('POST', '/experiments', { name: 'ranks' });
      for (const name of ['rank 8', 'rank 16']) {
        const r = await call('POST', '/runs', { experiment_id: e.id, name, params: { lora_r: name.slice(5) } });
        await call('POST', `/runs/${r.id}/metrics`, curves(name.length, 60));
        const ab = abResult();
        if (name === 'rank 16') for (const s of ab.samples) if (s.index % 3) s.prediction_b = s.label;
        await call('PUT', `/runs/${r.id}/artifacts/abtest/results.json`, JSON.stringify(ab), 'application/octet-stream');
        id[name] = r.id;
      }
    });

    const kinds = async () => (await call('GET', `/reports/${id.report}`)).body.blocks.map((b) => b.kind);
    async function until(what, said) {
      for (let tries = 0; !(await what()); tries++) {
        assert.ok(tries < 200, said);
        await new Promise((r) => setTimeout(r, 100));
      }
    }
    const button = (page, name) => page.getByRole('button', { name, exact: true });
    const blocks = (page) => page.locator('[data-block]');

    /** Adds the sections of the named kinds, or what is offered, from a page to a report that is there. */
    async function addFrom(page, path, only) {
      await page.goto(path);
      await button(page, w.add).first().click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel(w.which).waitFor();
      if (only) {
        await dialog.getByLabel(w.all).check();
        await dialog.getByLabel(w.all).uncheck();
        for (const k of only) await dialog.getByLabel(w.kind[k], { exact: true }).check();
      }
      await button(dialog, w.confirm).click();
      await dialog.getByRole('link', { name: w.open }).waitFor();
      return dialog;
    }

    test('it is made, and takes blocks from a run, an A/B test, a comparison and a list of runs', () =>
      onPage(form, async (page) => {
        await page.goto('/reports');
        await page.getByText(w.none).waitFor();
        await page.getByLabel(w.title).fill('For the review');
        await button(page, w.make).click();
        await page.waitForURL(/\/reports\/[0-9a-f-]+$/);
        id.report = page.url().split('/').at(-1);
        await page.getByRole('button', { name: w.addText }).first().click();
        await page.getByLabel(w.text).fill('# Why\n\nBecause *so*.');
        await button(page, w.done).click();
        await page.getByText('Because so.').waitFor();
        await until(async () => (await kinds()).join() === 'prose', 'the text is saved');

        await addFrom(page, `/runs/${id['rank 8']}`, ['training']);
        await addFrom(page, `/runs/${id['rank 16']}/abtest`, ['verdict', 'decision']);
        const dialog = await addFrom(page, `/compare?runs=${id['rank 8']},${id['rank 16']}`);
        await dialog.getByRole('link', { name: w.open }).click();
        await page.waitForURL(`**/reports/${id.report}`);
        await blocks(page).nth(5).waitFor();
        assert.deepEqual(await kinds(), ['prose', 'training', 'verdict', 'decision', 'paired', 'runs']);

        // Other runs from the editor itself: a table and curves.
        await page.getByRole('button', { name: w.several }).first().click();
        const several = page.getByRole('dialog');
        for (const name of ['rank 8', 'rank 16']) await button(several, name).click();
        await several.getByLabel(w.kind.runs, { exact: true }).uncheck();
        await several.getByLabel(w.kind.curves, { exact: true }).check();
        await several.getByLabel('eval/accuracy').waitFor();
        if (!(await several.getByLabel('train/loss').isChecked())) await several.getByLabel('train/loss').check();
        await button(several, w.confirm).click();
        await until(async () => (await kinds()).at(-1) === 'curves', 'the curves are saved');
        const made = (await call('GET', `/reports/${id.report}`)).body.blocks;
        assert.deepEqual(new Set(made.at(-1).runs), new Set([id['rank 8'], id['rank 16']]));
        assert.deepEqual(made.find((b) => b.kind === 'paired').runs, [id['rank 8'], id['rank 16']]);
      }));

    test('blocks are ordered by keyboard and by pointer, and what is removed comes back', () =>
      onPage(form, async (page) => {
        await page.goto(`/reports/${id.report}`);
        const before = await kinds();
        await button(page, w.grip(3, w.kind.verdict)).press('ArrowUp');
        await page.waitForFunction((name) => document.activeElement?.getAttribute('aria-label') === name, w.grip(2, w.kind.verdict));
        await page.keyboard.press('ArrowUp');
        await page.waitForFunction((name) => document.activeElement?.getAttribute('aria-label') === name, w.grip(1, w.kind.verdict));
        await page.keyboard.press('ArrowUp'); // it stands first already
        const after = ['verdict', 'prose', 'training', ...before.slice(3)];
        await until(async () => (await kinds()).join() === after.join(), 'the order is saved');
        if (wide) {
          const grip = button(page, w.grip(1, w.kind.verdict));
          const from = await grip.boundingBox();
          await page.mouse.move(from.x + 8, from.y + 8);
          await page.mouse.down();
          const past = await blocks(page).nth(1).boundingBox();
          await page.mouse.move(from.x + 8, past.y + past.height - 4, { steps: 5 });
          await page.mouse.up();
          await until(async () => (await kinds())[1] === 'verdict', 'the drag is saved');
          await page.keyboard.press('Escape');
          await blocks(page).nth(1).focus();
          await page.keyboard.press('Shift+K');
          await until(async () => (await kinds())[0] === 'verdict', 'Shift-K is saved');
        }
        await button(page, w.remove(2)).click();
        await until(async () => !(await kinds()).includes('prose'), 'the removal is saved');
        await page.locator('.toast').getByRole('button', { name: w.undo }).click();
        await until(async () => (await kinds()).join() === after.join(), 'it is back in its place');
      }));

    test('the preview shows the file, and back, forward and reload keep what is shown', () =>
      onPage(form, async (page) => {
        await page.goto('/reports');
        await page.getByRole('link', { name: 'For the review' }).click();
        await blocks(page).first().waitFor();
        if (!wide) await page.getByRole('link', { name: w.preview }).click();
        const file = page.frameLocator('iframe:not(.next)');
        await file.getByRole('heading', { level: 1, name: 'For the review' }).waitFor();
        await file.getByText(w.kind.paired).first().waitFor();
        await file.locator('.chart svg').first().waitFor();
        assert.equal(await page.locator('iframe:not(.next)').evaluate((f) => f.getAttribute('sandbox')), 'allow-scripts');
        if (!wide) {
          await page.reload();
          await file.getByRole('heading', { level: 1 }).waitFor();
          await page.goBack();
        }
        await blocks(page).first().waitFor();
        // What is typed reaches the preview by itself.
        if (wide) {
          await page.getByLabel(w.reportTitle, { exact: true }).fill('For the second review');
          await file.getByRole('heading', { level: 1, name: 'For the second review' }).waitFor();
          await page.goBack(); // the preview has added nothing to the history
          await page.waitForURL('**/reports');
          await page.goForward();
          await page.reload();
          assert.equal(await page.getByLabel(w.reportTitle, { exact: true }).inputValue(), 'For the second review');
          await call('PATCH', `/reports/${id.report}`, { title: 'For the review' });
        }
      }));

    test('a link is made, opens the report and is withdrawn', () =>
      onPage(form, async (page, p) => {
        p.expect(/404/);
        await page.goto(`/reports/${id.report}`);
        await button(page, w.share).click();
        await page.getByText(w.noLinks).waitFor();
        await button(page, w.make_link).click();
        const url = await page.getByLabel(w.link).inputValue();
        assert.match(url, /\/shared\/[\w-]{43}$/);
        await page.goto(url);
        await page.getByRole('heading', { level: 1, name: 'For the review' }).waitFor();
        await page.goBack();
        await page.getByRole('button', { name: w.share }).click();
        await page.getByRole('dialog').getByRole('button', { name: w.withdraw }).click();
        await page.getByRole('dialog').getByRole('button', { name: w.withdraw }).click(); // asked once more
        await page.getByText(w.noLinks).waitFor();
        assert.equal((await page.goto(url)).status(), 404);
      }));

    test('of two windows neither overwrites the other, and a deletion is undone', () =>
      onPage(form, async (page) => {
        const other = await page.context().newPage();
        for (const x of [page, other]) {
          await x.goto(`/reports/${id.report}`);
          await blocks(x).first().waitFor();
        }
        const title = (x) => x.getByLabel(w.reportTitle, { exact: true });
        let release;
        const held = new Promise((r) => (release = r));
        await other.route(`**/api/v1/reports/${id.report}`, async (route) => {
          if (route.request().method() === 'PATCH') await held;
          await route.continue();
        });
        await title(other).fill('Theirs');
        await other.waitForRequest((r) => r.method() === 'PATCH');
        await title(page).fill('Mine');
        await until(async () => (await call('GET', `/reports/${id.report}`)).title === 'Mine', 'the first window is saved');
        release();
        await other.getByText(w.conflict).waitFor();
        await other.getByText('# Mine').waitFor();
        assert.equal((await call('GET', `/reports/${id.report}`)).title, 'Mine');
        await button(other, w.keep).click();
        await until(async () => (await call('GET', `/reports/${id.report}`)).title === 'Theirs', 'the choice is saved');
        await page.waitForFunction((label) => document.querySelector(`[aria-label="${label}"]`)?.value === 'Theirs', w.reportTitle);
        await other.close();

        await page.keyboard.press('Escape');
        await page.getByRole('main').focus();
        await page.keyboard.press('Control+K');
        await page.getByRole('dialog').getByRole('combobox').fill('Theirs');
        await page.getByRole('option', { name: /Theirs/ }).waitFor();
        await page.keyboard.press('Escape');

        await page.goto('/reports');
        await button(page, w.del('Theirs')).click();
        await page.locator('.toast').getByText(w.deleted).waitFor();
        await page.locator('.toast').getByRole('button', { name: w.undo }).click();
        await page.getByRole('link', { name: /Theirs/ }).waitFor();
        assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= form.width, 'wider than the window');
      }));
  });
}
