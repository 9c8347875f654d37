import assert from 'node:assert/strict';
import { test } from 'node:test';
import { best, rank, wordsFilter } from '../src/frame/find.ts';

test('what is looked for is text to the server, whatever signs are in it', () => {
  assert.equal(wordsFilter('  a  AND "b" (c'), '"a" "AND" """b""" "(c"');
  assert.equal(wordsFilter(' '), '');
});

test('names that begin with the text come before those in which a part does, and those before the rest', () => {
  const names = ['the rank', 'xrank', 'rank 2', 'other'];
  assert.deepEqual(best(names, (n) => n, 'rank', 9), ['rank 2', 'the rank', 'xrank']);
  assert.deepEqual(best(names, (n) => n, 'rank', 1), ['rank 2']);
  assert.equal(rank('lora_r=16 · lr=2e-4', 'lr 16'), 2);
  assert.equal(rank('lora', 'rank'), undefined);
  assert.equal(rank('待ち行列', '行列'), 2);
});
