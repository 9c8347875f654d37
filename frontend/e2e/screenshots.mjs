// Takes the documentation's pictures of a tracker that it fills for them (realistic.mjs), in three forms each:
// npm run screenshots [-- DATA_FOLDER], where the folder is kept and used again. Look at them before committing.
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, stat, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch } from './browser.mjs';
import { fill, shipped } from './realistic.mjs';
import { startServer } from './server.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const out = join(root, 'docs/screenshots');
const most = 250_000; // bytes of a picture
const variants = [
  { name: 'desktop', width: 1440, height: 900, scheme: 'light', locale: 'en-US' },
  { name: 'dark', width: 1440, height: 900, scheme: 'dark', locale: 'en-US' },
  { name: 'phone', width: 390, height: 844, scheme: 'light', locale: 'ja-JP' },
];

const data = process.argv[2] && resolve(process.argv[2]);
const kept = data && join(data, 'pictures.json');
const had = kept && existsSync(kept);
if (data) await mkdir(data, { recursive: true });
const server = await startServer({ data, ...(await shipped()) });
const browser = await launch();
try {
  const ids = had ? JSON.parse(await readFile(kept, 'utf8')) : await fill(server);
  if (kept && !had) await writeFile(kept, JSON.stringify(ids));
  // What a picture shows: an address, and what must be there before it is taken; it begins at the place that `at` finds.
  const pages = {
    experiments: { path: '/', ready: 'main table tbody tr' },
    runs: { path: `/experiments/${ids.gate.experiment}?compare=${ids.gate.runs.slice(0, 6).join(',')}`, ready: 'main canvas' },
    run: { path: `/runs/${ids.run.id}`, ready: 'main canvas' },
    abtest: { path: `/runs/${ids.run.id}/abtest`, ready: 'main h2' },
    compare: { path: `/compare?runs=${ids.other.id},${ids.run.id}`, ready: '#samples ~ ul.card > li' },
    notebook: { path: '/guide', ready: '[data-cell="ab"] .output table, [data-cell="ab"] .output h3', at: '[data-cell="tune"]' },
    modules: { path: '/modules', ready: 'main article, main table' },
    report: { path: `/api/v1/runs/${ids.run.id}/report`, ready: 'h1' },
  };
  await mkdir(out, { recursive: true });
  for (const old of await readdir(out)) await rm(join(out, old));
  const large = [];
  for (const v of variants) {
    const phone = v.width < 500;
    const context = await browser.newContext({ viewport: { width: v.width, height: v.height }, colorScheme: v.scheme, locale: v.locale, isMobile: phone, hasTouch: phone });
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    for (const [name, p] of Object.entries(pages)) {
      await page.goto(server.url + p.path + (name === 'report' && v.locale === 'ja-JP' ? '?lang=ja' : ''));
      await page.locator(p.ready).first().waitFor({ state: 'attached' });
      if (p.at) await page.locator(p.at).evaluate((el) => el.scrollIntoView({ block: 'start' }));
      await page.waitForTimeout(1500); // charts draw and settle
      const file = join(out, `${name}-${v.name}.png`);
      await page.screenshot({ path: file });
      const { size } = await stat(file);
      if (size > most) large.push(`${file}: ${size} bytes`);
    }
    await context.close();
  }
  console.log(`${Object.keys(pages).length * variants.length} pictures in ${out}`);
  if (large.length) throw new Error(`larger than ${most} bytes:\n${large.join('\n')}`);
} finally {
  await browser.close();
  await (data ? server.stop() : server.remove());
}
