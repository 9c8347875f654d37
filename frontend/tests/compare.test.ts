import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asked, cell, compareHref, most, questionOf, runsOf } from '../src/compare/address.ts';
import { columnTitle, conditionTitle, offered, operatorsOf } from '../src/compare/conditions.ts';
import { facts } from '../src/compare/facts.ts';
import { runNames } from '../src/compare/names.ts';
import { differences, tokensOf } from '../src/compare/tokens.ts';
import { decimals, finding } from '../src/compare/verdict.ts';
import type { Run } from '../src/lib/types.ts';

const run = (id: string, more: Partial<Run> = {}): Run => ({ id, experiment_id: 'e', name: id, status: 'finished', created_at: '2026-01-01T00:00:00Z', ...more });

test('an address names its runs once each, in their order, and no more than are compared', () => {
  assert.deepEqual(runsOf(new URL(compareHref(['a', 'b', 'a', 'ü&=']), 'http://x').search), ['a', 'b', 'ü&=']);
  assert.deepEqual(runsOf('?runs=a,,b,a'), ['a', 'b']);
  assert.deepEqual(runsOf(''), []);
  const many = Array.from({ length: most + 50 }, (_, i) => `${'0'.repeat(29)}${i}`);
  assert.ok(compareHref(many).length < 4000);
  assert.equal(runsOf(new URL(compareHref(many), 'http://x').search).length, most);
});

test('of one run its two arms are compared, of several the models of the first two', () => {
  assert.deepEqual([questionOf('', ['x']).a, questionOf('', ['x']).b], [{ run: 'x', arm: 'A' }, { run: 'x', arm: 'B' }]);
  assert.deepEqual([questionOf('', ['x', 'y', 'z']).a, questionOf('', ['x', 'y', 'z']).b], [{ run: 'x', arm: 'B' }, { run: 'y', arm: 'B' }]);
  assert.deepEqual(questionOf('?b=x&a_arm=A', ['x', 'y']).b, { run: 'x', arm: 'B' });
  assert.equal(questionOf('?a=y', ['x', 'y']).b.run, 'x');
  assert.equal(questionOf('?a=gone&show=nonsense&a_arm=C', ['x', 'y']).a.run, 'x');
  assert.equal(questionOf('?show=nonsense', ['x']).show, 'differ');
});

test('what an address asks of the server is all of it, each condition by itself', () => {
  const q = new URLSearchParams({ runs: 'x,y', show: 'fixed', label: 'DENY', q: 'a&b', where: 'row.n>3\nb.prediction=ALLOW', offset: '50' });
  assert.equal(String(asked(questionOf(`?${q}`, ['x', 'y']))), 'a=x&b=y&a_arm=B&b_arm=B&show=fixed&label=DENY&q=a%26b&where=row.n%3E3&where=b.prediction%3DALLOW');
  assert.deepEqual(cell('a', 'DENY', 'ALLOW'), { show: 'all', label: 'DENY', language: '', q: '', where: 'a.prediction=ALLOW', offset: '' });
});

test('a verdict says no more than both its interval and its test', () => {
  const c = (low: number | null, high: number | null, p_value: number, better = 'higher') => finding({ delta: { value: 0.1, low, high }, p_value, better }, 0.95);
  assert.equal(c(0.01, 0.2, 0.01), 'better');
  assert.equal(c(0.01, 0.2, 0.01, 'lower'), 'worse');
  assert.equal(c(-0.2, -0.01, 0.01), 'worse');
  assert.equal(c(-0.01, 0.2, 0.2), 'open');
  assert.equal(c(0, 0.2, 0.2), 'open');
  assert.equal(c(0.01, 0.2, 0.06), 'apart');
  assert.equal(c(-0.01, 0.2, 0.04), 'apart');
  assert.equal(c(0, 0, 1), 'open');
  assert.equal(c(null, 0.2, 0.01), 'none');
});

test('an end of an interval that is not zero never reads as zero', () => {
  assert.equal(decimals([0.033, 0.015, 0.051]), 3);
  assert.equal(decimals([0.03, 0.0004, 0.06]), 4);
  assert.equal(decimals([0.03, -0.00004, 0.06]), 5);
  assert.equal(decimals([0, 0, null]), 3);
});

test('facts are all that is known of the runs, and say where they are equal', () => {
  const got = facts(
    [
      run('a', { params: { lr: '1e-4', seed: '1', 'data.max_length': '9' }, summary: { 'eval/f1': 0.5, bad: null }, tags: { 'git.commit': 'abc', team: 'z' }, steps: [{ kind: 'convert', key: 'f'.repeat(64), status: 'finished' }] }),
      run('b', { params: { lr: '1e-3', seed: '1', 'data.max_length': '9' }, summary: { 'eval/f1': 0.5, bad: null } }),
    ],
    new Map<string, Record<string, string>>([['a', { go: 'go1.26', engine: '3', started: 'now' }], ['b', { go: 'go1.26' }]]),
  );
  const of = (name: string) => got.find((f) => f.name === name);
  assert.deepEqual([of('lr')!.group, of('lr')!.equal, of('lr')!.values], ['params', false, ['1e-4', '1e-3']]);
  assert.deepEqual([of('seed')!.equal, of('bad')!.equal, of('eval/f1')!.group], [true, true, 'metrics']);
  assert.deepEqual([of('data.max_length')!.group, of('convert (sha256)')!.group, of('convert (sha256)')!.values], ['data', 'data', ['f'.repeat(16), undefined]]);
  assert.deepEqual([of('git.commit')!.group, of('engine')!.group, of('go')!.group, of('go')!.equal, of('started'), of('team')!.group], ['code', 'code', 'environment', true, undefined, 'tags']);
});

test('runs are named by what differs where a name says nothing or is shared, and no two alike', () => {
  const names = (runs: Run[]) => [...runNames(runs).values()];
  assert.deepEqual(names([run('1', { name: '2026-11-30 19:07:40', params: { 'training.lora_r': '8' } }), run('2', { name: 'mine', params: { 'training.lora_r': '4' } })]), ['lora_r=8', 'mine']);
  assert.deepEqual(names([run('1', { name: 'demo', params: { seed: '1' } }), run('2', { name: 'demo', params: { seed: '2' } })]), ['demo · seed=1', 'demo · seed=2']);
  const same = names([run('aaaaaa111111', { name: 'demo' }), run('aaaaaa222222', { name: 'demo' })]);
  assert.deepEqual(same, ['demo (111111)', 'demo (222222)']);
});

test('answers are told apart by words, and by characters where a script has no spaces', () => {
  assert.deepEqual(tokensOf('It is 承認。'), ['It ', 'is ', '承', '認', '。']);
  const [a, b] = differences('I cannot share that list.', 'I can share the list.');
  assert.deepEqual(a.filter((p) => !p.same).map((p) => p.text.trim()), ['cannot', 'that']);
  assert.deepEqual(b.filter((p) => !p.same).map((p) => p.text.trim()), ['can', 'the']);
  for (const [x, y] of [['', 'all new'], ['承認します', '拒否します'], ['same', 'same'], ['a\n\nb  c', 'a\nb c']] as const) {
    const [p, q] = differences(x, y);
    assert.deepEqual([p.map((t) => t.text).join(''), q.map((t) => t.text).join('')], [x, y]);
    assert.equal(p.filter((t) => t.same).map((t) => t.text).join(''), q.filter((t) => t.same).map((t) => t.text).join(''));
  }
  assert.deepEqual(differences('same', 'same')[0], [{ text: 'same', same: true }]);
});

test('answers of any length are compared or said to differ, in little time', () => {
  const long = Array.from({ length: 9000 }, (_, i) => `w${i}`).join(' ');
  const other = Array.from({ length: 9000 }, (_, i) => `v${i}`).join(' ');
  for (const [x, y] of [[long, `${long} end`], [long, other], [long + long, other + other]] as const) {
    const [p, q] = differences(x, y);
    assert.deepEqual([p.map((t) => t.text).join(''), q.map((t) => t.text).join('')], [x, y]);
  }
});

test('conditions read as a person writes them, and numbers alone are less or greater', () => {
  assert.equal(columnTitle('row.style'), 'style');
  assert.equal(columnTitle('a.confidence'), 'A · confidence');
  assert.equal(conditionTitle('row.n>=3'), 'n ≥ 3');
  assert.equal(conditionTitle('row.style='), 'style = –');
  assert.ok(!operatorsOf('text').includes('<') && operatorsOf('number').includes('<='));
  const about = { kind: 'text' as const, least: null, greatest: null, values: [] };
  assert.deepEqual(offered([{ key: 'label', rows: 3, ...about }, { key: 'row.a', rows: 3, ...about }, { key: 'row.b', rows: 0, ...about }]).map((c) => c.key), ['row.a']);
});
