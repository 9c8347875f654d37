import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { groupsOf } from '../src/abtest/groups.ts';
import { modelNames } from '../src/abtest/names.ts';
import type { Sample } from '../src/lib/types.ts';

const cases = JSON.parse(readFileSync(new URL('../../experiments/testdata/modelnames.json', import.meta.url), 'utf8'));

test('models are named as the server names them', () => {
  for (const c of cases) assert.deepEqual(modelNames(c.run, c.arms), c.want, c.about);
});

test('rows are counted by language and domain, and a kind of one value is left out', () => {
  const row = (language: string, domain: string, a: string, b: string) => ({ language, domain, label: 'ALLOW', prediction_a: a, prediction_b: b }) as Sample;
  const got = groupsOf([row('en', 'it', 'ALLOW', 'ALLOW'), row('en', '', 'DENY', 'ALLOW'), row('ja', 'it', 'ALLOW', 'DENY')]);
  assert.deepEqual(got, [
    { by: 'language', value: 'en', rows: 2, a: 1, b: 2, onlyA: 0, onlyB: 1 },
    { by: 'language', value: 'ja', rows: 1, a: 1, b: 0, onlyA: 1, onlyB: 0 },
  ]);
});
