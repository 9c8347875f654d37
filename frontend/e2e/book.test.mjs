// Notebooks in a real browser: run, edited, undone, changed by others meanwhile. Needs bin/triality (or TRIALITY) and
// Chromium.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { accessibilityFaults, missing, setUp } from './browser.mjs';

const sample = fileURLToPath(new URL('../../configs/sample/four_class_sample_en.jsonl', import.meta.url));
const work = join(tmpdir(), `triality-book-${process.pid}`);
const book = `---
title: Small
name: small
output_dir: ${work}
device: cpu
---

# A small one

Some *words*.

\`\`\`triality base id=base
base_model: ${work}/base
create:
  shape: micro
  text: ${sample}
  vocab_size: 512
  num_train_epochs: 1
\`\`\`

\`\`\`triality convert id=rows
base_model: \${base.model}
data:
  input_path: ${sample}
  max_length: 64
\`\`\`
`;

describe('notebooks', { skip: missing, timeout: 240_000 }, () => {
  const shared = setUp({ books: { 'small.md': book, 'broken.md': book.replace('max_length', 'max_lenght'), 'other.md': book } });
  const { onPage } = shared;
  const file = (name) => join(shared.server.dir, 'books', name);
  const state = (page, id, text) => page.locator(`[data-cell="${id}"] .chip`).filter({ hasText: text }).waitFor({ timeout: 90_000 });
  const yaml = (page, id) => page.locator(`[data-cell="${id}"] textarea`);
  const saved = (page) => page.locator('.state').filter({ hasText: 'Saved' }).waitFor();
  const open = async (page, name) => {
    await page.goto(`/notebooks/${name}`);
    await page.locator('[data-cell="rows"]').waitFor();
  };

  test('a notebook runs, and only what depends on an edit is out of date', () =>
    onPage({}, async (page) => {
      await page.goto('/notebooks');
      await page.getByRole('link', { name: 'Small small.md' }).click();
      await state(page, 'base', 'Not run');
      await page.getByRole('heading', { name: 'A small one' }).waitFor();
      await page.getByRole('button', { name: 'Run what is open' }).click();
      await state(page, 'rows', 'Up to date');
      await state(page, 'base', 'Up to date');
      await page.locator('[data-cell="rows"] table').first().waitFor(); // what convert found
      await yaml(page, 'rows').fill((await yaml(page, 'rows').inputValue()).replace('64', '48'));
      await state(page, 'rows', 'Out of date');
      await page.getByText('changed: rows').waitFor();
      await state(page, 'base', 'Up to date');
      await saved(page);
      assert.equal(readFileSync(file('small.md'), 'utf8'), book.replace('max_length: 64', 'max_length: 48'));
      await page.getByRole('button', { name: 'Undo' }).click();
      await state(page, 'rows', 'Up to date');
      await saved(page);
      assert.equal(readFileSync(file('small.md'), 'utf8'), book);
      await page.reload();
      await state(page, 'rows', 'Up to date');
      assert.deepEqual(await accessibilityFaults(page), []);
    }));

  test('another notebook of the same cells takes the results over', () =>
    onPage({ locale: 'ja' }, async (page) => {
      await open(page, 'other.md');
      await state(page, 'rows', '引き継ぎ');
      await page.getByText('節約').first().waitFor();
    }));

  test('a mistake is shown at its line and leaves the other cells', () =>
    onPage({}, async (page) => {
      await open(page, 'broken.md');
      await state(page, 'rows', 'Mistake');
      await page.getByRole('alert').filter({ hasText: 'Line 25' }).filter({ hasText: 'max_lenght' }).waitFor();
      assert.equal(await page.locator('[data-cell="rows"] .gutter .at').innerText(), '4');
      await state(page, 'base', 'Taken over');
    }));

  test('a file that others change is followed, and never overwritten silently', () =>
    onPage({}, async (page, p) => {
      p.expect(/409/);
      await open(page, 'other.md');
      writeFileSync(file('other.md'), book.replace('Some *words*', 'From an editor'));
      await page.getByText('From an editor').waitFor();
      writeFileSync(file('other.md'), book.replace('Some *words*', 'Again'));
      await yaml(page, 'rows').fill((await yaml(page, 'rows').inputValue()).replace('64', '32'));
      await page.getByText('The file was changed elsewhere').waitFor();
      await page.locator('.diff').getByText('Again').waitFor();
      assert.match(readFileSync(file('other.md'), 'utf8'), /Again/);
      await page.getByRole('button', { name: 'Keep mine' }).click();
      await saved(page);
      const now = readFileSync(file('other.md'), 'utf8');
      assert.match(now, /From an editor/);
      assert.match(now, /max_length: 32/);
      // What went is in the history, and comes back.
      await page.getByRole('button', { name: 'History' }).click();
      await page.getByRole('dialog').getByRole('button').filter({ hasText: ' B' }).nth(1).click();
      await page.getByRole('button', { name: 'Bring this back' }).click();
      await page.getByText('Again').first().waitFor();
    }));

  test('two windows: what one saves, the other shows', () =>
    onPage({}, (first) =>
      onPage({}, async (second) => {
        await open(first, 'other.md');
        await open(second, 'other.md');
        await yaml(first, 'base').fill((await yaml(first, 'base').inputValue()).replace('512', '768'));
        await second.waitForFunction(() => document.querySelector('[data-cell="base"] textarea').value.includes('768'));
      }),
    ));

  test('everything goes by keyboard', () =>
    onPage({}, async (page) => {
      await open(page, 'small.md');
      await state(page, 'rows', 'Up to date');
      await page.keyboard.press('j');
      await page.keyboard.press('j');
      assert.equal(await page.evaluate(() => document.activeElement.dataset.cell), 'rows');
      await page.keyboard.press('Enter');
      await page.keyboard.press('Control+End');
      await page.keyboard.type('format_type: instruction');
      await state(page, 'rows', 'Mistake');
      assert.equal(await page.evaluate(() => document.activeElement.tagName), 'TEXTAREA');
      await page.keyboard.press('Escape');
      const here = () => page.evaluate(() => document.activeElement.dataset.cell ?? document.activeElement.outerHTML.slice(0, 300));
      assert.equal(await here(), 'rows', 'after Escape');
      await page.keyboard.press('z');
      await state(page, 'rows', 'Up to date');
      assert.equal(await here(), 'rows', 'after z');
      await page.keyboard.press('d');
      await page.keyboard.press('d');
      await page.locator('[data-cell="rows"]').waitFor({ state: 'detached' });
      await page.keyboard.press('z');
      await page.locator('[data-cell="rows"]').waitFor();
      await saved(page);
      assert.equal(readFileSync(file('small.md'), 'utf8'), book);
      await page.keyboard.press('b');
      assert.equal(await page.evaluate(() => document.activeElement.tagName), 'SELECT', 'b leads to a new cell');
      // Run while a write is under way: the cell runs when it is done.
      await page.route('**/api/v1/notebooks/*', async (route) => {
        if (route.request().method() === 'PUT') await new Promise((r) => setTimeout(r, 3000));
        await route.continue();
      });
      const write = page.waitForRequest((r) => r.method() === 'PUT');
      await yaml(page, 'rows').fill((await yaml(page, 'rows').inputValue()).replace('64', '40'));
      await write;
      await page.keyboard.press('Control+Enter');
      await state(page, 'rows', 'Out of date');
      await state(page, 'rows', 'Up to date');
    }));
});
