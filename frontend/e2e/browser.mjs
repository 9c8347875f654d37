// Pages in Chromium against a server of their own: a page that logs an error or breaks its security policy fails
// the test.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before } from 'node:test';
import { chromium } from 'playwright-core';
import { binary, client, startServer } from './server.mjs';

const executablePath = process.env.CHROMIUM_PATH || '/usr/bin/chromium';

/** Why tests in a browser cannot run here, or false. */
export const missing = !existsSync(binary)
  ? `no binary at ${binary}; build it with: go build -o bin/triality .`
  : !existsSync(executablePath)
    ? 'no Chromium; set CHROMIUM_PATH to its path'
    : false;

export const launch = () =>
  chromium.launch({
    executablePath,
    args: [
      '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-sync',
      '--disable-component-update', '--no-first-run',
    ],
  });

/** What the tests of a describe share: a server on a fresh data folder and a browser, from before to after them. */
export function setUp(options) {
  let browser;
  const shared = {
    server: undefined, // a test may put another in its place
    /** Calls its API. */
    call: (...request) => client(shared.server.url)(...request),
    /** Runs fn on a fresh page and fails on anything that went wrong in it. */
    async onPage(options, fn) {
      const p = await openPage(browser, shared.server.url, options);
      try {
        await fn(p.page, p);
        assert.deepEqual(p.problems, []);
      } finally {
        await p.close();
      }
    },
  };
  before(async () => {
    shared.server = await startServer(options);
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await shared.server?.remove();
  });
  return shared;
}

/** A page in a context of its own. problems holds what went wrong in it; expect(pattern) lets console
 *  errors pass that the test causes on purpose. */
async function openPage(browser, base, { width = 1280, height = 900, locale = 'en-US', colorScheme = 'light' } = {}) {
  const phone = width < 500;
  const context = await browser.newContext({
    baseURL: base, viewport: { width, height }, locale, colorScheme, isMobile: phone, hasTouch: phone,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000); // a loaded machine is slow; what comes never fails after any time
  const problems = [];
  const allowed = [];
  await page.exposeFunction('reportViolation', (text) => problems.push(`security policy: ${text}`));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (e) => window.reportViolation(`${e.violatedDirective} ${e.blockedURI}`));
  });
  page.on('pageerror', (err) => problems.push(`uncaught: ${err.stack}`));
  page.on('console', (m) => {
    if (m.type() === 'error' && !allowed.some((re) => re.test(m.text()))) problems.push(`console: ${m.text()}`);
  });
  page.on('request', (r) => {
    if (!/^(data|blob):/.test(r.url()) && new URL(r.url()).origin !== base) problems.push(`request elsewhere: ${r.url()}`);
  });
  return {
    page,
    problems,
    expect: (re) => allowed.push(re),
    close: () => context.close(),
  };
}

/** Basics of accessibility of the page as it stands: a list of faults. */
export const accessibilityFaults = (page) =>
  page.evaluate(() => {
    const faults = [];
    const shown = (el) => el.checkVisibility({ visibilityProperty: true });
    const name = (el) =>
      (el.getAttribute('aria-label') ||
        (el.getAttribute('aria-labelledby') ?? '').split(/\s+/).map((id) => document.getElementById(id)?.textContent ?? '').join('') ||
        [...(el.labels ?? [])].map((l) => l.textContent).join('') ||
        (el.matches('a, button') ? el.textContent + [...el.querySelectorAll('img')].map((i) => i.alt).join('') : '') ||
        '').trim();
    const at = (el) => el.outerHTML.slice(0, 120);
    const headings = [...document.querySelectorAll('h1')];
    if (headings.length !== 1) faults.push(`${headings.length} h1 elements`);
    if (!document.title || !document.documentElement.lang) faults.push('no title or no language');
    if (document.querySelectorAll('main').length !== 1) faults.push('not exactly one main');
    for (const el of document.querySelectorAll('input, select, textarea, button, a[href], progress')) {
      if (shown(el) && !name(el)) faults.push(`no name: ${at(el)}`);
    }
    for (const el of document.querySelectorAll('img:not([alt]), [role=img]:not([aria-label])')) faults.push(`no text: ${at(el)}`);
    for (const el of document.querySelectorAll('table')) {
      if (!el.querySelector('th')) faults.push(`no header cells: ${at(el)}`);
    }
    const ids = [...document.querySelectorAll('[id]')].map((el) => el.id);
    for (const id of new Set(ids)) if (ids.filter((x) => x === id).length > 1) faults.push(`id twice: ${id}`);
    for (const attribute of ['aria-labelledby', 'aria-describedby']) {
      for (const el of document.querySelectorAll(`[${attribute}]`)) {
        for (const id of el.getAttribute(attribute).split(/\s+/)) {
          if (!document.getElementById(id)) faults.push(`${attribute} names nothing: ${at(el)}`);
        }
      }
    }
    let level = 0;
    for (const h of document.querySelectorAll('h1, h2, h3, h4')) {
      const n = Number(h.tagName[1]);
      if (n > level + 1) faults.push(`heading level jumps to ${n}: ${h.textContent}`);
      level = n;
    }
    for (const el of document.querySelectorAll('[tabindex]')) if (el.tabIndex > 0) faults.push(`tabindex ${el.tabIndex}: ${at(el)}`);
    return faults;
  });

const axe = () => readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds in a part of the page; the frame around it is looked at with all pages. */
export async function axeFaults(page, part = 'main') {
  await page.evaluate(axe());
  const found = await page.evaluate((at) => window.axe.run(at, { resultTypes: ['violations'] }), part);
  return found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 120)).join(' | ')}`);
}

/** Contrast ratios of text colours against the backgrounds they stand on (WCAG 2.2, 1.4.3). */
export const contrasts = (page) =>
  page.evaluate(() => {
    const css = getComputedStyle(document.documentElement);
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const luminance = (variable) => {
      canvas.fillStyle = css.getPropertyValue(variable).trim();
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((v) => {
        const c = v / 255;
        return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const pairs = [];
    const pair = (text, ...grounds) => {
      for (const ground of grounds) {
        const [a, b] = [luminance(text), luminance(ground)].sort((x, y) => y - x);
        pairs.push({ text, ground, ratio: (a + 0.05) / (b + 0.05) });
      }
    };
    pair('--ink', '--paper', '--surface', '--sunken');
    pair('--ink-2', '--paper', '--surface', '--sunken');
    pair('--ink-3', '--paper', '--surface');
    pair('--accent', '--paper', '--surface', '--accent-soft');
    pair('--accent-ink', '--accent');
    pair('--good', '--surface', '--good-soft');
    pair('--bad', '--surface', '--paper', '--bad-soft');
    pair('--warn', '--warn-soft');
    pair('--arm-a', '--surface', '--sunken');
    pair('--arm-b', '--surface');
    return pairs;
  });
