// Several people at one notebook: comments on cells, and who is where. Needs bin/triality (or TRIALITY) and Chromium.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { axeFaults, missing, setUp } from './browser.mjs';

const cell = (id, value) => `\`\`\`triality input id=${id}\nvalue: ${value}\n\`\`\`\n`;
const book = `# Talk\n\n${cell('rank', 8)}\n${cell('alpha', 16)}`;

describe('several people at one notebook', { skip: missing, timeout: 180_000 }, () => {
  const shared = setUp({ books: { 'comments.md': book, 'kept.md': book, 'people.md': book, 'axe.md': book } });
  const { call, onPage } = shared;
  const open = async (page, name) => {
    await page.goto(`/notebooks/${name}`);
    await page.locator('[data-cell="alpha"]').waitFor();
  };
  const at = (page, id) => page.locator(`[data-cell="${id}"]`);
  const count = (page, id) => at(page, id).locator('.count');
  /** Comments on a cell as someone. */
  async function say(page, id, text, name) {
    await at(page, id).getByRole('button', { name: new RegExp(`^Comments.*input id=${id}`) }).click();
    if (name) await at(page, id).getByLabel('Your name').fill(name);
    await at(page, id).getByRole('textbox', { name: 'Comment' }).fill(text);
    await at(page, id).getByRole('button', { name: 'Comment', exact: true }).click();
    await at(page, id).getByText(text).waitFor();
  }

  test('a comment is seen by others at once, resolved, changed, deleted and taken back; the file stays as it is', () =>
    onPage({}, (mika) =>
      onPage({}, async (yuta) => {
        await open(mika, 'comments.md');
        await open(yuta, 'comments.md');
        await say(mika, 'rank', 'Why eight?', 'Mika');
        await at(yuta, 'rank').getByText('Why eight?').waitFor();
        await count(yuta, 'rank').filter({ hasText: '1' }).waitFor();
        await yuta.getByRole('navigation', { name: 'Outline' }).locator('.said').filter({ hasText: '1' }).waitFor();
        await say(yuta, 'rank', 'It was the best of the sweep.', 'Yuta');
        await count(mika, 'rank').filter({ hasText: '2' }).waitFor();
        await at(mika, 'rank').getByRole('listitem').filter({ hasText: 'Why eight?' }).getByRole('button', { name: 'Resolve' }).click();
        await count(yuta, 'rank').filter({ hasText: '1' }).waitFor();
        await at(yuta, 'rank').getByText('1 resolved').click();
        await at(yuta, 'rank').getByText(/resolved by Mika/).waitFor();
        const mine = at(yuta, 'rank').getByRole('listitem').filter({ hasText: 'best of the sweep' });
        await mine.getByRole('button', { name: 'Edit' }).click();
        await at(yuta, 'rank').getByRole('textbox', { name: 'Comment' }).fill('It was the best of six.');
        await at(yuta, 'rank').getByRole('button', { name: 'Comment', exact: true }).click();
        await at(mika, 'rank').getByText('It was the best of six.').waitFor();
        await at(yuta, 'rank').getByRole('listitem').filter({ hasText: 'best of six' }).getByRole('button', { name: 'Delete' }).click();
        await at(yuta, 'rank').getByText('Deleted.').waitFor();
        await at(mika, 'rank').getByText('It was the best of six.').waitFor({ state: 'detached' });
        await at(yuta, 'rank').getByRole('listitem').filter({ hasText: 'Deleted.' }).getByRole('button', { name: 'Undo' }).click();
        await at(mika, 'rank').getByText('It was the best of six.').waitFor();
        await mika.getByRole('complementary').getByRole('button', { name: /^Comments\s1/ }).click();
        await mika.getByRole('complementary').getByText('It was the best of six.').waitFor();
        assert.equal(readFileSync(join(shared.server.dir, 'books', 'comments.md'), 'utf8'), book);
      }),
    ));

  test('two who change one comment: the later is told, and nothing is lost', () =>
    onPage({}, async (page, p) => {
      p.expect(/412/);
      await open(page, 'kept.md');
      await say(page, 'rank', 'First.', 'Mika');
      const [c] = (await call('GET', '/comments?book=kept.md')).items;
      await at(page, 'rank').getByRole('listitem').getByRole('button', { name: 'Edit' }).click();
      await at(page, 'rank').getByRole('textbox', { name: 'Comment' }).fill('Mine.');
      // Another changes it, of which the page had not heard when it sent its own.
      await call('PATCH', `/comments/${c.id}`, { text: 'Changed meanwhile.' });
      await page.route(`**/api/v1/comments/${c.id}`, (route) => route.continue({ headers: { ...route.request().headers(), 'if-match': '"1"' } }));
      await at(page, 'rank').getByRole('button', { name: 'Comment', exact: true }).click();
      await at(page, 'rank').getByRole('alert').filter({ hasText: 'is at revision 2' }).waitFor();
      assert.equal((await call('GET', '/comments?book=kept.md')).items[0].text, 'Changed meanwhile.');
      assert.equal(await at(page, 'rank').getByRole('textbox', { name: 'Comment' }).inputValue(), 'Mine.');
    }));

  test('what was said of a cell that is gone stands at the end', () =>
    onPage({}, async (page) => {
      await call('POST', '/comments', { book: 'axe.md', cell: 'renamed', author: 'Mika', text: 'Of an older name.' });
      await open(page, 'axe.md');
      await page.getByRole('region', { name: 'Comments of cells that are gone' }).getByText('Of an older name.').waitFor();
    }));

  test('two windows see each other, where the other is, and that it went', () =>
    onPage({}, async (mika) => {
      await open(mika, 'people.md');
      await mika.getByRole('button', { name: 'You' }).click();
      await mika.getByLabel('Your name').fill('Mika');
      await mika.getByRole('button', { name: 'Save' }).click();
      await mika.getByRole('button', { name: 'Mika' }).waitFor();
      const others = mika.getByRole('list', { name: 'Who else has the notebook open' });
      await onPage({}, async (yuta) => {
        await open(yuta, 'people.md');
        await yuta.getByRole('list', { name: 'Who else has the notebook open' }).getByText('Mika').first().waitFor();
        await others.getByText('Someone').first().waitFor();
        await at(yuta, 'alpha').focus();
        await at(mika, 'alpha').getByText('Someone is here').waitFor();
        await at(mika, 'rank').focus();
        await at(yuta, 'rank').getByText('Mika is here').waitFor();
      });
      // The window is closed: without a word, or with one, it is gone.
      await others.getByText('Someone').first().waitFor({ state: 'detached' });
      await at(mika, 'alpha').getByText('Someone is here').waitFor({ state: 'detached' });
    }));

  for (const [locale, colorScheme, width] of [['en-US', 'light', 1440], ['ja-JP', 'dark', 390]]) {
    test(`axe finds nothing at comments and people (${locale}, ${colorScheme}, ${width})`, () =>
      onPage({ locale, colorScheme, width }, async (page) => {
        await call('POST', '/comments', { book: 'axe.md', cell: 'rank', author: 'Mika', text: 'Hm.' });
        await open(page, 'axe.md');
        await at(page, 'rank').getByText('Hm.').first().waitFor();
        await at(page, 'rank').locator('.head .tools button').nth(-3).click();
        await at(page, 'rank').locator('form').waitFor();
        assert.deepEqual(await axeFaults(page), []);
        await page.locator('.bar .mark').click();
        await page.locator('dialog fieldset').waitFor();
        assert.deepEqual(await axeFaults(page, 'dialog'), []);
        assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= width, 'wider than the screen');
      }));
  }
});
