// Notebooks in a real browser: run, edited, undone, changed by others meanwhile. Needs bin/triality (or TRIALITY) and
// Chromium.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { accessibilityFaults, axeFaults, missing, setUp } from './browser.mjs';

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

// The same cells, with a value that a control sets and cells that show what they gave.
const showing = book
  .replace('title: Small', 'title: Showing')
  .replace('max_length: 64', 'max_length: ${length.value}') + `
\`\`\`triality input id=length
value: 64 # tokens
choices: [48, 64]
\`\`\`

\`\`\`triality chart id=loss
of: \${base.metrics.pretrain/loss}
\`\`\`

\`\`\`triality table id=splits
of: \${rows.summary}
\`\`\`

\`\`\`triality query id=found
filter: experiment = small
columns: [params.rows.data.max_length]
\`\`\`

\`\`\`triality note id=said
text: |
  Rows of at most **{{length.value}}** tokens; loss {{base.metrics.pretrain/loss}}.
\`\`\`
`;

describe('notebooks', { skip: missing, timeout: 240_000 }, () => {
  const shared = setUp({ books: { 'small.md': book, 'broken.md': book.replace('max_length', 'max_lenght'), 'other.md': book, 'show.md': showing } });
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

  test('cells that show what others gave do so without a run, wait for what has none, and follow a control', () =>
    onPage({}, async (page) => {
      await page.goto('/notebooks/show.md');
      await state(page, 'rows', 'Taken over');
      await page.locator('[data-cell="loss"] canvas').first().waitFor();
      await page.locator('[data-cell="loss"]').getByRole('button', { name: 'Table' }).click();
      await page.locator('[data-cell="loss"] tbody th').first().waitFor();
      await page.locator('[data-cell="splits"] tbody tr').first().waitFor();
      await page.locator('[data-cell="found"] tbody a').first().waitFor();
      await page.locator('[data-cell="said"] strong').filter({ hasText: '64' }).waitFor();
      assert.match(await page.locator('[data-cell="said"] .output').innerText(), /loss \d+\.\d+\./);
      // The control sets the value in the text and nothing else; what only shows it is there, what must run says so and what it takes.
      await page.getByLabel('length', { exact: true }).selectOption('48');
      await page.locator('[data-cell="said"] strong').filter({ hasText: '48' }).waitFor();
      await state(page, 'rows', 'Not run');
      await page.locator('[data-cell="rows"] .why').filter({ hasText: '1 of 2 steps are taken over' }).waitFor();
      await state(page, 'splits', 'Waits');
      await page.getByText('for rows to run').waitFor();
      await saved(page);
      assert.equal(readFileSync(file('show.md'), 'utf8'), showing.replace('value: 64 #', 'value: 48 #'));
      await page.getByLabel('length', { exact: true }).selectOption('64');
      await state(page, 'rows', 'Taken over');
      await state(page, 'splits', 'Up to date');
      await saved(page);
      assert.equal(readFileSync(file('show.md'), 'utf8'), showing);
    }));

  test('a cell is edited as a form, and completed and explained as YAML', () =>
    onPage({}, async (page) => {
      await open(page, 'show.md');
      await state(page, 'rows', 'Taken over');
      const rows = page.locator('[data-cell="rows"]');
      await rows.getByRole('button', { name: 'Form' }).click();
      await rows.getByLabel('max_length').fill('48');
      await rows.getByLabel('max_length').press('Tab');
      await state(page, 'rows', 'Not run');
      await saved(page);
      assert.equal(readFileSync(file('show.md'), 'utf8'), showing.replace('${length.value}', '48'));
      await page.getByRole('button', { name: 'Undo' }).click();
      await rows.getByRole('button', { name: 'YAML' }).click();
      const text = yaml(page, 'rows');
      await text.press('Control+End');
      await page.keyboard.press('Enter');
      await page.keyboard.type('str');
      await page.getByRole('option', { name: /^strict:/ }).waitFor();
      await page.keyboard.press('Enter');
      assert.match(await text.inputValue(), /max_length: \$\{length\.value\}\n  strict: $/);
      await rows.locator('.help').filter({ hasText: 'data.strict' }).filter({ hasText: 'bad line' }).waitFor();
      await page.keyboard.press('Control+Space');
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Tab');
      assert.match(await text.inputValue(), /strict: false$/);
      await page.keyboard.press('Escape');
      await page.keyboard.press('z');
      await state(page, 'rows', 'Taken over');
      await saved(page);
      assert.equal(readFileSync(file('show.md'), 'utf8'), showing);
    }));

  for (const [locale, colorScheme, width] of [['en-US', 'light', 1440], ['ja-JP', 'dark', 390]]) {
    test(`axe finds nothing in the list and a notebook (${locale}, ${colorScheme}, ${width})`, () =>
      onPage({ locale, colorScheme, width }, async (page) => {
        await page.goto('/notebooks');
        await page.locator('.list a').first().waitFor();
        assert.deepEqual(await axeFaults(page), []);
        await page.goto('/notebooks/show.md');
        await page.locator('[data-cell="splits"] tbody tr').first().waitFor();
        await page.locator('[data-cell="rows"] .views button').nth(1).click();
        await page.locator('[data-cell="rows"] .form').waitFor();
        assert.deepEqual(await axeFaults(page), []);
        assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= width, 'wider than the screen');
      }));
  }

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
      await page.getByRole('alert').filter({ hasText: 'Line 4' }).filter({ hasText: 'max_lenght' }).waitFor();
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
