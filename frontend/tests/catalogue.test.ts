import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { en, type Key } from '../src/i18n/en.ts';
import { ja } from '../src/i18n/ja.ts';
import { fill, placeholders } from '../src/i18n/message.ts';

const keys = Object.keys(en) as Key[];

test('both catalogues have the same keys, in the same order', () => {
  assert.deepEqual(Object.keys(ja), keys);
});

test('every message has the same placeholders in both languages', () => {
  for (const k of keys) assert.deepEqual(placeholders(ja[k]), placeholders(en[k]), k);
});

test('no message is empty, and one with plural forms counts by {count}', () => {
  for (const k of keys) {
    for (const [lang, text] of [['en', en[k]], ['ja', ja[k]]] as const) {
      assert.notEqual(text.trim(), '', `${lang} ${k}`);
      if (text.includes('|')) assert.ok(placeholders(text).includes('count'), `${lang} ${k}`);
    }
  }
});

test('Japanese texts are Japanese', () => {
  const same = keys.filter((k) => en[k] === ja[k]).sort();
  assert.deepEqual(same, ['ab.delta', 'ab.f1', 'modules.hash', 'run.progressOpen'].sort());
});

test('every key of the catalogue is used', () => {
  const root = new URL('../src/', import.meta.url);
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
    (f) => /\.(svelte|ts)$/.test(f) && !f.startsWith('i18n'),
  );
  const text = files.map((f) => readFileSync(new URL(f, root), 'utf8')).join('\n');
  const used = new Set([...text.matchAll(/['`]([a-z]\w*(?:\.[\w]+)+)['`]/gi)].map((m) => m[1]!));
  const families = [...text.matchAll(/t\(`([\w.]+)\$\{/g)].map((m) => m[1]!); // t(`status.${s}`)
  const unused = keys.filter((k) => !used.has(k) && !families.some((f) => k.startsWith(f)));
  assert.deepEqual(unused, []);
});

test('fill chooses the plural form, writes numbers as the language does and shows what is missing', () => {
  assert.equal(fill('{count} run|{count} runs', 'en', { count: 1 }), '1 run');
  assert.equal(fill('{count} run|{count} runs', 'en', { count: 1200 }), '1,200 runs');
  assert.equal(fill('実行 {count} 件', 'ja', { count: 1 }), '実行 1 件');
  assert.equal(fill('at {path}', 'en', {}), 'at {path}');
  assert.equal(fill('{a} {b}', 'en', { a: '{b}', b: 'x' }), '{b} x');
});
