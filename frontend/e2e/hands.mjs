// How a person works a page: with the mouse, or by the keyboard alone. Both do the same things, so that one test is both.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

const steps = 400; // most presses of Tab on the way to something

export const mouse = (page) => ({
  press: (target) => target.click(),
  choose: (select, value) => select.selectOption(value),
  write: (field, text) => field.fill(text),
  /** Brings a panel into sight: what is out of it is not drawn. */
  see: (panel) => panel.scrollIntoViewIfNeeded(),
  /** Goes to a cell of a notebook. */
  cell: (id) => page.locator(`[data-cell="${id}"]`),
  /** Drops a file where it may be dropped; input is for those who cannot. */
  async file(path, place) {
    const data = await page.evaluateHandle(([name, bytes]) => {
      const t = new DataTransfer();
      t.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name, { type: 'application/wasm' }));
      return t;
    }, [basename(path), readFileSync(path).toString('base64')]);
    await place.dispatchEvent('dragover', { dataTransfer: data });
    await place.dispatchEvent('drop', { dataTransfer: data });
  },
  async select(list, names) {
    for (const name of names) await list.getByRole('row').filter({ has: page.getByRole('link', { name, exact: true }) }).getByRole('checkbox').click();
  },
});

export function keyboard(page) {
  const focused = (target) => target.evaluate((el) => el === document.activeElement);
  /** Tabs on until the target has the focus. */
  async function reach(target) {
    await target.waitFor({ state: 'attached' });
    for (let i = 0; i < steps; i++) {
      if (await focused(target)) return;
      await page.keyboard.press('Tab');
    }
    assert.fail(`Tab does not reach ${target}; it ended at ${await page.evaluate(() => document.activeElement.outerHTML.slice(0, 200))}`);
  }
  return {
    async press(target) {
      await reach(target);
      await page.keyboard.press('Enter');
    },
    async choose(select, value) {
      await reach(select);
      const at = () => select.evaluate((el, v) => [...el.options].findIndex((o) => o.value === v) - el.selectedIndex, value);
      for (let by = await at(), i = 0; by !== 0; by = await at()) {
        assert.ok(i++ < 50, `the arrows do not reach ${value}`);
        await page.keyboard.press(by > 0 ? 'ArrowDown' : 'ArrowUp');
      }
    },
    see: (panel) => reach(panel.getByRole('button').first()),
    async write(field, text) {
      await reach(field);
      await page.keyboard.press('Control+a');
      await page.keyboard.insertText(text);
    },
    async cell(id) {
      const here = () => page.evaluate(() => document.activeElement.closest('[data-cell]')?.dataset.cell);
      await page.keyboard.press('Escape'); // out of a text
      if (await page.evaluate(() => document.activeElement.tagName === 'SELECT')) await page.keyboard.press('Tab');
      for (let i = 0; i < 50 && (await here()) !== id; i++) await page.keyboard.press('j');
      for (let i = 0; i < 50 && (await here()) !== id; i++) await page.keyboard.press('k');
      assert.equal(await here(), id, 'j and k lead to the cell');
      return page.locator(`[data-cell="${id}"]`);
    },
    async file(path, place) {
      const input = place.locator('input[type=file]');
      await reach(input);
      const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.keyboard.press('Space')]);
      await chooser.setFiles(path);
    },
    async select(list, names) {
      const rows = await list.locator('tbody tr[data-line]').count();
      for (let i = 0; i < rows; i++) {
        await page.keyboard.press('j');
        const active = list.locator('tbody tr.active');
        await list.locator(`tbody tr.active[data-line="${i}"]`).waitFor();
        if (names.includes((await active.getByRole('link').first().innerText()).trim())) await page.keyboard.press('x');
      }
    },
  };
}
