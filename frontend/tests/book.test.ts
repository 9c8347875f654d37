import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freeName, fresh, parts, seriesOf, withBody } from '../src/book/cells.ts';
import { context } from '../src/book/diff.ts';

const cell = '```triality convert id=rows\nbase_model: m\n```\n';

test('the parts of a cell are its text', () => {
  for (const text of [cell, cell.trimEnd(), '~~~triality a id=b\n~~~\n', '  ````triality a id=b\nx: "```"\n  ````\n', '```triality a id=b\nnever: closed\n', '```triality a id=b\r\nx: 1\r\n```\r\n', '```triality a id=b']) {
    const p = parts(text);
    assert.equal(p.open + p.body + p.close, text);
  }
  assert.deepEqual(parts(cell), { open: '```triality convert id=rows\n', body: 'base_model: m\n', close: '```\n' });
});

test('another body changes nothing but the body, and what fences must grow', () => {
  assert.equal(withBody(cell, 'base_model: n\n'), cell.replace(': m', ': n'));
  assert.equal(withBody(cell, 'base_model: n'), cell.replace(': m', ': n'));
  assert.equal(withBody(cell, 'x: |\n```\n'), '````triality convert id=rows\nx: |\n```\n````\n');
  assert.equal(withBody('```triality a id=b\nopen: 1\n', 'open: 2\n'), '```triality a id=b\nopen: 2\n```\n');
});

test('new cells have names of their own', () => {
  assert.equal(freeName('burn-in', []), 'burnin');
  assert.equal(freeName('convert', ['convert', 'convert2']), 'convert3');
  assert.equal(fresh('convert', 'c'), '\n```triality convert id=c\n```\n');
});

test('the series of a cell are those of its step', () => {
  const two = [{ name: 'a', kind: 'finetune' }, { name: 'b', kind: 'finetune' }, { name: 'so8t', kind: 'replace' }];
  const names = ['a/train/loss', 'b/train/loss', 'so8t/loss', 'so8t_eval/loss', 'b/eval/loss'];
  assert.deepEqual(seriesOf('finetune', 'b', two, names), ['b/train/loss', 'b/eval/loss']);
  assert.deepEqual(seriesOf('replace', 'so8t', two, names), ['so8t/loss', 'so8t_eval/loss']);
  assert.deepEqual(seriesOf('report', 'r', two, names), []);
});

test('a difference shows what changed and a little around it', () => {
  const before = Array.from({ length: 20 }, (_, i) => `line ${i}`).join('\n');
  const got = context(before, before.replace('line 9\n', 'line nine\n')).map((l) => (l ? `${l.kind} ${l.text}` : '…'));
  assert.deepEqual(got, ['same line 7', 'same line 8', 'gone line 9', 'new line nine', 'same line 10', 'same line 11', '…']);
});
