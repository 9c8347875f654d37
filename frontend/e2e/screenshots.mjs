// Takes the documentation's screenshots of every page from a tracker that holds a finished run:
// npm run screenshots [-- DATA_FOLDER]. Look at them before committing.
import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch } from './browser.mjs';
import { client, startServer } from './server.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const out = join(root, 'docs/screenshots');
const variants = [
  { name: 'desktop', width: 1440, height: 900, scheme: 'light', locale: 'en-US' },
  { name: 'dark', width: 1440, height: 900, scheme: 'dark', locale: 'en-US' },
  { name: 'phone', width: 390, height: 844, scheme: 'light', locale: 'ja-JP' },
];

const server = await startServer({ data: resolve(process.argv[2] ?? join(root, 'data')) });
const browser = await launch();
try {
  const api = client(server.url);
  const [run, other] = (await api('GET', '/runs?status=finished&limit=2')).items;
  if (!run) throw new Error('the tracker has no finished run; `triality demo` makes one');
  const module = (await api('GET', '/modules')).items[0];
  const pages = {
    experiments: '/',
    experiment: `/experiments/${run.experiment_id}`,
    run: `/runs/${run.id}`,
    abtest: `/runs/${run.id}/abtest`,
    modules: '/modules',
    module: `/modules/${module.sha256}`,
    report: `/api/v1/runs/${run.id}/report`,
  };
  if (other) pages.compare = `/compare?runs=${other.id},${run.id}`;
  await mkdir(out, { recursive: true });
  for (const v of variants) {
    const context = await browser.newContext({
      viewport: { width: v.width, height: v.height },
      colorScheme: v.scheme,
      locale: v.locale,
    });
    const page = await context.newPage();
    for (const [name, path] of Object.entries(pages)) {
      await page.goto(server.url + path + (name === 'report' && v.locale === 'ja-JP' ? '?lang=ja' : ''));
      await page.waitForLoadState('load');
      await page.waitForTimeout(1200); // charts draw and settle
      const part = { run: '#curves' }[name];
      if (part) {
        await page.evaluate((at) => document.querySelector(at)?.scrollIntoView(), part);
        await page.waitForTimeout(800);
      }
      await page.screenshot({ path: join(out, `${name}-${v.name}.jpg`), type: 'jpeg', quality: 60 });
    }
    await context.close();
  }
  console.log(`${Object.keys(pages).length * variants.length} screenshots in ${out}`);
} finally {
  await browser.close();
  await server.stop();
}
