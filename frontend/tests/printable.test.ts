import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { printable } from '../src/lib/printable.ts';

test('texts are shown as runtime/printable shows them', () => {
  const vectors = JSON.parse(readFileSync(new URL('../../runtime/printable/testdata/vectors.json', import.meta.url), 'utf8'));
  assert.ok(vectors.length > 20);
  for (const { text, shown } of vectors) assert.equal(printable(text), shown);
});

test('line feeds and tabs stay, a lone surrogate does not', () => {
  assert.equal(printable('a\tb\r\nc'), 'a\tb\\r\nc');
  assert.equal(printable('x\ud800y'), 'x\\ud800y');
});

test('no control or bidirectional character is ever left', () => {
  for (let c = 0; c <= 0x10ffff; c++) {
    const shown = printable(`a${String.fromCodePoint(c)}b`);
    if (/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069]/u.test(shown)) assert.fail(`U+${c.toString(16)}`);
  }
});
