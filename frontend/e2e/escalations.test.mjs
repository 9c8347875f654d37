// The page of queries that wait for a person, in a real browser, with the server's own queue and audit log.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { accessibilityFaults, missing, setUp } from './browser.mjs';
import { binary } from './server.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** A data folder in which queries wait, as a server with --think leaves them. */
function seeded() {
  const dir = mkdtempSync(join(tmpdir(), 'triality-e2e-'));
  mkdirSync(join(dir, 'escalations'));
  ['May the trainee take the tanker out tonight?', '祖母が、家を出ろという声が電話から聞こえると言います。', `<b>${'x'.repeat(400)}</b>`].forEach((query, i) =>
    writeFileSync(join(dir, 'escalations', `${i + 1}.json`), JSON.stringify({
      request: i + 1, time: new Date(Date.now() - 3600_000).toISOString(), query, verdict: 'ESCALATION',
      scores: { ALLOW: 0.25, ESCALATION: 0.5, DENY: 0.2, REFUSE: 0.05 }, model: 'work/demo/model', model_hash: 'ab'.repeat(32),
    })));
  return dir;
}

describe('escalations', { skip: missing, timeout: 120_000 }, () => {
  const dir = missing ? '' : seeded();
  const shared = setUp({ data: dir });
  const { onPage } = shared;

  test('axe finds nothing, in light, in dark, in Japanese and on a phone, which is not wider than its screen', async () => {
    const faults = [];
    for (const options of [{}, { colorScheme: 'dark' }, { width: 390, height: 844, locale: 'ja-JP' }]) {
      await onPage(options, async (page) => {
        await page.goto('/escalations');
        await page.getByText('May the trainee').waitFor();
        faults.push(...(await accessibilityFaults(page)));
        await page.evaluate(axe);
        faults.push(...(await page.evaluate(async () => {
          const got = await globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] });
          return got.violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.html.slice(0, 160)}`));
        })));
        if (options.locale) await page.getByRole('heading', { level: 1, name: '人の判断待ち' }).waitFor();
        if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) faults.push('it is wider than the screen');
      });
    }
    assert.deepEqual(faults, []);
  });

  test('a query is decided on by the keyboard alone, logged, and forgotten', () =>
    onPage({}, async (page) => {
      await page.goto('/');
      const link = page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Escalations' });
      await link.focus();
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { level: 1, name: 'Escalations' }).waitFor();
      const first = page.getByRole('listitem', { name: 'Request 1' });
      await first.getByLabel('Note').focus();
      await page.keyboard.type('asked the foreman');
      await page.keyboard.press('Tab');
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter'); // Deny
      await page.getByRole('status').getByText('Request 1 was denied.').waitFor();
      assert.equal(await first.count(), 0);
      await page.getByText('2 queries wait').waitFor();
      assert.equal(await page.evaluate(() => document.activeElement?.tagName), 'H1');
      await page.getByRole('button', { name: 'Allow request 2' }).click();
      await page.getByText('Request 2 was allowed.').waitFor();
      assert.deepEqual(readdirSync(join(dir, 'escalations')), ['3.json']);
      const log = JSON.parse(execFileSync(binary, ['audit', 'list', '--data', dir, '--json'], { encoding: 'utf8' }));
      assert.deepEqual(log.map((e) => [e.kind, e.of, e.decision, e.note ?? '']), [['review', 1, 'deny', 'asked the foreman'], ['review', 2, 'allow', '']]);
      assert.equal(await page.locator('blockquote b').count(), 0);
    }));

  test('what another person decided on meanwhile is said, and the query stays until it is read anew', () =>
    onPage({}, async (page, p) => {
      p.expect(/404/);
      await page.goto('/escalations');
      await page.getByRole('button', { name: 'Deny request 3' }).waitFor();
      await shared.call('POST', '/escalations/3/decision', { decision: 'allow', note: '' });
      await page.getByRole('button', { name: 'Deny request 3' }).click();
      await page.getByRole('alert').getByText('decided on').waitFor();
      await page.reload();
      await page.getByText('No query waits').waitFor();
    }));
});
