// The order of a notebook: what needs what, cells and sections that are moved and folded, and undo of all of it. Needs
// bin/triality (or TRIALITY) and Chromium.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { accessibilityFaults, axeFaults, missing, setUp } from './browser.mjs';

const sample = fileURLToPath(new URL('../../configs/sample/four_class_sample_en.jsonl', import.meta.url));
const work = join(tmpdir(), `triality-bookorder-${process.pid}`);
const cell = (kind, id, body) => `\`\`\`triality ${kind} id=${id}\n${body}\`\`\`\n`;
const head = `---\ntitle: Order\nname: order\noutput_dir: ${work}\ndevice: cpu\n---\n\n# Order\n\n`;
const base = cell('base', 'base', `base_model: ${work}/base\ncreate:\n  shape: micro\n  text: ${sample}\n  vocab_size: 512\n  num_train_epochs: 0.1\n`);
const rows = cell('convert', 'rows', `base_model: \${base.model}\ndata:\n  input_path: ${sample}\n  max_length: \${length.value}\n`);
const length = cell('input', 'length', 'value: 64\nchoices: [48, 64]\n');
const splits = cell('table', 'splits', 'of: ${rows.summary}\n');
const said = cell('note', 'said', 'text: at most {{length.value}} tokens\n');
const book = `${head}## Data\n\nSome text.\n\n${base}\n${rows}\n${length}\n## Shown\n\n${splits}\n${said}`;

describe('the order of a notebook', { skip: missing, timeout: 180_000 }, () => {
  const shared = setUp({ books: Object.fromEntries(['graph', 'drag', 'touch', 'keys', 'fold', 'undo', 'axe'].map((n) => [`${n}.md`, book])) });
  const { onPage } = shared;
  const text = (name) => readFileSync(join(shared.server.dir, 'books', name), 'utf8');
  const open = async (page, name) => {
    await page.goto(`/notebooks/${name}`);
    await page.locator('[data-cell="said"] .chip').filter({ hasText: /Up to date|最新/ }).waitFor({ timeout: 20_000 });
  };
  const order = (page) => page.locator('[data-cell]').evaluateAll((all) => all.map((c) => c.dataset.cell));
  const saved = (page) => page.locator('.state').filter({ hasText: 'Saved' }).waitFor();
  const ordered = async (page, want) => {
    await page.waitForFunction((w) => [...document.querySelectorAll('[data-cell]')].map((c) => c.dataset.cell).join(' ') === w, want.join(' '), { timeout: 20_000 });
  };
  const grip = (page, id) => page.locator(`[data-cell="${id}"] .grip`);

  test('the drawing has each cell and what it needs, marks what was changed, and leads to a cell', () =>
    onPage({}, async (page) => {
      await open(page, 'graph.md');
      await page.getByRole('button', { name: 'Run what is open' }).click();
      const state = (id, word) => page.locator(`[data-cell="${id}"] .chip`).filter({ hasText: word }).waitFor({ timeout: 90_000 });
      await state('rows', 'Up to date');
      await page.getByRole('button', { name: 'Dependencies' }).click();
      const spot = (id) => page.locator(`[data-spot="${id}"]`);
      assert.equal(await page.locator('.spot').count(), 5);
      assert.equal(await page.locator('.wire').count(), 4);
      assert.equal(await spot('rows').getAttribute('aria-label'), 'rows Up to date. convert; needs length, base; needed by splits');
      // A cell stands below what it needs.
      const y = async (id) => (await spot(id).boundingBox()).y;
      assert.ok((await y('base')) < (await y('rows')) && (await y('rows')) < (await y('splits')));
      await page.getByLabel('length', { exact: true }).selectOption('48');
      await state('rows', 'Out of date');
      await page.locator('[data-spot="length"].changed').waitFor();
      await page.locator('.wire.carries').first().waitFor();
      assert.equal(await page.locator('.spot.changed').count(), 1);
      await spot('base').click();
      await page.waitForFunction(() => document.activeElement.dataset.cell === 'base');
      // By keyboard: down to what needs it, aside in its layer, Enter goes there.
      await spot('base').focus();
      await page.keyboard.press('ArrowDown');
      assert.equal(await page.evaluate(() => document.activeElement.dataset.spot), 'rows');
      await page.keyboard.press('ArrowUp');
      await page.keyboard.press('ArrowRight');
      assert.notEqual(await page.evaluate(() => document.activeElement.dataset.spot), 'base');
      await page.keyboard.press('End');
      await page.keyboard.press('Enter');
      await page.waitForFunction(() => document.activeElement.dataset.cell === 'said' || document.activeElement.dataset.cell === 'splits');
      await page.getByText('As a list').click();
      await page.getByRole('listitem').filter({ hasText: 'needs rows; needed by nothing' }).waitFor();
      assert.deepEqual(await accessibilityFaults(page), []);
    }));

  test('a cell is dragged with its blank line, in one step of undo', () =>
    onPage({ height: 1800 }, async (page) => {
      await open(page, 'drag.md');
      await grip(page, 'length').hover(); // and what is still coming has come
      await page.mouse.down();
      const to = await page.locator('[data-cell="base"]').boundingBox();
      await page.mouse.move(to.x + 50, to.y + 30, { steps: 5 });
      await page.mouse.move(to.x + 50, to.y + 5);
      await page.locator('.drop').waitFor();
      await page.mouse.up();
      await ordered(page, ['length', 'base', 'rows', 'splits', 'said']);
      await saved(page);
      assert.equal(text('drag.md'), `${head}## Data\n\nSome text.\n\n${length}\n${base}\n${rows}\n## Shown\n\n${splits}\n${said}`);
      await page.getByRole('button', { name: 'Undo' }).click();
      await ordered(page, ['base', 'rows', 'length', 'splits', 'said']);
      await saved(page);
      assert.equal(text('drag.md'), book);
      // Escape leaves it where it was.
      await grip(page, 'length').hover();
      await page.mouse.down();
      const up = await page.locator('[data-cell="base"]').boundingBox();
      await page.mouse.move(up.x + 50, up.y + 5, { steps: 4 });
      await page.locator('.drop').waitFor();
      await page.keyboard.press('Escape');
      await page.mouse.up();
      assert.deepEqual(await order(page), ['base', 'rows', 'length', 'splits', 'said']);
      assert.equal(text('drag.md'), book);
    }));

  test('a finger drags a cell on a phone', () =>
    onPage({ width: 390, height: 844, hasTouch: true }, async (page) => {
      await open(page, 'touch.md');
      await grip(page, 'said').scrollIntoViewIfNeeded();
      const from = await grip(page, 'said').boundingBox();
      assert.ok(from.width >= 44 && from.height >= 44, 'the grip is as large as a finger');
      const to = await page.locator('[data-cell="splits"]').boundingBox();
      const touch = await page.context().newCDPSession(page);
      const at = (x, y) => [{ x, y }];
      await touch.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: at(from.x + 10, from.y + 10) });
      for (let i = 1; i <= 6; i++) await touch.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints: at(from.x + 10, from.y + ((to.y + 4 - from.y) * i) / 6) });
      await touch.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
      await ordered(page, ['base', 'rows', 'length', 'said', 'splits']);
    }));

  test('a cell and a section are moved by keyboard, and it is said', () =>
    onPage({}, async (page) => {
      await open(page, 'keys.md');
      await grip(page, 'rows').focus();
      await page.keyboard.press('Space');
      await page.locator('[aria-live="assertive"]').filter({ hasText: 'rows is taken' }).waitFor();
      await page.keyboard.press('ArrowUp');
      await page.locator('[aria-live="assertive"]').filter({ hasText: 'Before base' }).waitFor();
      await page.keyboard.press('Space');
      await ordered(page, ['rows', 'base', 'length', 'splits', 'said']);
      await page.keyboard.press('Enter');
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Escape');
      await page.locator('[aria-live="assertive"]').filter({ hasText: 'Not moved' }).waitFor();
      assert.deepEqual(await order(page), ['rows', 'base', 'length', 'splits', 'said']);
      // A heading takes all that stands below it along.
      await page.getByRole('button', { name: 'Move Shown' }).focus();
      await page.keyboard.press('Space');
      for (let i = 0; i < 4; i++) await page.keyboard.press('ArrowUp');
      await page.locator('[aria-live="assertive"]').filter({ hasText: 'Before Data' }).waitFor();
      await page.keyboard.press('Space');
      await ordered(page, ['splits', 'said', 'rows', 'base', 'length']);
      await saved(page);
      assert.equal(text('keys.md'), `${head}## Shown\n\n${splits}\n${said}\n## Data\n\nSome text.\n\n${rows}\n${base}\n${length}`);
      await page.getByRole('button', { name: 'Move table id=splits down' }).click();
      await ordered(page, ['said', 'splits', 'rows', 'base', 'length']);
    }));

  test('a heading folds what stands below it, here and after a reload, and the text stays', () =>
    onPage({}, async (page) => {
      await open(page, 'fold.md');
      await page.getByRole('button', { name: 'Fold the section Data' }).click();
      await ordered(page, ['splits', 'said']);
      await page.getByText('3 cells are folded').waitFor();
      await page.reload();
      await page.getByText('3 cells are folded').waitFor();
      assert.deepEqual(await order(page), ['splits', 'said']);
      await page.getByRole('navigation', { name: 'Outline' }).getByRole('button', { name: 'rows' }).click();
      await ordered(page, ['base', 'rows', 'length', 'splits', 'said']);
      await page.waitForFunction(() => document.activeElement.dataset.cell === 'rows');
      assert.equal(text('fold.md'), book);
    }));

  test('everything is undone and done again: deletion, duplicate, form, text, and after a reload what the history has', () =>
    onPage({}, async (page) => {
      await open(page, 'undo.md');
      const z = () => page.keyboard.press('z');
      await page.locator('[data-cell="said"]').focus();
      await page.keyboard.press('d');
      await page.keyboard.press('d');
      await ordered(page, ['base', 'rows', 'length', 'splits']);
      await z();
      await ordered(page, ['base', 'rows', 'length', 'splits', 'said']);
      await page.keyboard.press('Shift+Z');
      await ordered(page, ['base', 'rows', 'length', 'splits']);
      await page.getByRole('button', { name: 'Undo' }).click();
      await ordered(page, ['base', 'rows', 'length', 'splits', 'said']);
      await page.locator('[data-cell="length"]').getByRole('button', { name: 'Duplicate' }).click();
      await ordered(page, ['base', 'rows', 'length', 'length2', 'splits', 'said']);
      // Text that is written over its blank lines does not run into the cell below.
      await page.locator('.passage').filter({ hasText: 'Some text.' }).hover();
      await page.locator('.passage').filter({ hasText: 'Some text.' }).getByRole('button', { name: 'Edit' }).click();
      await page.getByRole('textbox', { name: 'Text' }).fill('## Data\n\nOther text\n\n## New');
      await page.keyboard.press('Escape');
      await page.getByRole('heading', { name: 'New', exact: true }).waitFor();
      await saved(page);
      assert.equal(text('undo.md'), book.replace('Some text.', 'Other text\n\n## New').replace(length, `${length}\n${length.replace('id=length', 'id=length2')}`));
      await page.getByRole('button', { name: 'Undo' }).click();
      await page.getByRole('button', { name: 'Undo' }).click();
      await saved(page);
      assert.equal(text('undo.md'), book);
      await page.locator('[data-cell="base"]').getByRole('button', { name: 'Delete' }).click();
      await ordered(page, ['rows', 'length', 'splits', 'said']);
      await saved(page);
      assert.equal(text('undo.md'), book.replace(base, ''));
      await page.reload();
      await ordered(page, ['rows', 'length', 'splits', 'said']);
      await page.locator('button:enabled', { hasText: 'Undo' }).click();
      await ordered(page, ['base', 'rows', 'length', 'splits', 'said']);
      await saved(page);
      assert.equal(text('undo.md'), book);
      await page.getByRole('button', { name: 'Redo' }).click();
      await ordered(page, ['rows', 'length', 'splits', 'said']);
      await saved(page);
      // The history shows the difference, and brings a text back.
      await page.getByRole('button', { name: 'History' }).click();
      await page.getByRole('dialog').locator('li button').nth(1).click();
      await page.locator('.diff .gone').first().waitFor();
      await page.getByRole('button', { name: 'Bring this back' }).click();
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await saved(page);
    }));

  test('keys act as they do elsewhere, and not while an input method composes', () =>
    onPage({}, async (page) => {
      await open(page, 'axe.md');
      const here = () => page.evaluate(() => document.activeElement.dataset.cell ?? document.activeElement.tagName);
      await page.locator('[data-cell="length"]').focus();
      await page.keyboard.press('k');
      assert.equal(await here(), 'rows');
      // In a field, Shift-Enter goes on to the next cell; without a result it asks for a run of this one.
      await page.keyboard.press('Enter');
      assert.equal(await here(), 'TEXTAREA');
      const asked = page.waitForRequest((r) => r.url().endsWith('/api/v1/jobs'));
      await page.keyboard.press('Shift+Enter');
      assert.equal(await here(), 'length');
      assert.deepEqual((await asked).postDataJSON().cells, ['rows']);
      // m writes text below the cell.
      await page.keyboard.press('m');
      await page.getByRole('textbox', { name: 'Text' }).waitFor();
      await page.keyboard.type('jj dd');
      await page.keyboard.press('Shift+Enter');
      await page.locator('.passage').filter({ hasText: 'jj dd' }).waitFor();
      await saved(page);
      assert.equal(text('axe.md'), book.replace(`${length}\n`, `${length}\njj dd\n\n`));
      // Enter on a button or a link does what they do.
      await page.locator('[data-cell="length"]').getByRole('button', { name: 'Duplicate' }).focus();
      await page.keyboard.press('Enter');
      await ordered(page, ['base', 'rows', 'length', 'length2', 'splits', 'said']);
      await page.locator('[data-cell="length2"]').focus();
      await page.evaluate(() => {
        for (const key of ['d', 'd', 'j', 'm', 'z', 'a', 'Enter', '?']) document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key, isComposing: true, bubbles: true, cancelable: true }));
        document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: 'Process', keyCode: 229, bubbles: true, cancelable: true }));
      });
      assert.equal(await here(), 'length2');
      assert.deepEqual(await order(page), ['base', 'rows', 'length', 'length2', 'splits', 'said']);
      await page.keyboard.press('a');
      assert.equal(await here(), 'SELECT');
      await page.keyboard.press('Escape');
      await page.locator('[data-cell="length2"]').focus();
      await page.keyboard.press('?');
      const help = page.getByRole('dialog');
      for (const label of ['Next cell', 'Run the cell and go to the next', 'Write text below the cell', 'Remove the cell', 'Redo']) await help.getByText(label, { exact: true }).first().waitFor();
      await page.keyboard.press('Escape');
      await help.waitFor({ state: 'detached' });
      await page.keyboard.press('Control+k');
      await page.getByRole('dialog').waitFor();
      await page.keyboard.press('Escape');
    }));

  for (const [locale, colorScheme, width] of [['en-US', 'dark', 1440], ['ja-JP', 'light', 390]]) {
    test(`axe finds nothing beside a notebook (${locale}, ${colorScheme}, ${width})`, () =>
      onPage({ locale, colorScheme, width }, async (page) => {
        await open(page, 'graph.md');
        if (width < 1200) await page.locator('.bar .narrow').click();
        for (const at of [1, 2, 0]) {
          await page.locator('.tabs button').nth(at).click();
          await page.locator(at === 1 ? '.spot' : '.tabs').first().waitFor();
          assert.deepEqual(await axeFaults(page, width < 1200 ? 'dialog' : 'main'), []);
        }
        assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= width, 'wider than the screen');
      }));
  }
});
