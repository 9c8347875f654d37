// A whole life cycle by the npm package mlflow, a client of MLflow's API that others wrote, against the real server.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { binary, client, startServer } from './server.mjs';

const MLflow = createRequire(import.meta.url)('mlflow');

describe("MLflow's npm client", { skip: existsSync(binary) ? false : 'bin/triality is not built' }, () => {
  let server;
  let api;
  let mlflow;
  const { log } = console;
  before(async () => {
    server = await startServer();
    api = client(server.url);
    mlflow = new MLflow({ endpoint: server.url });
    console.log = () => {}; // the client prints each body that it sends
  });
  after(async () => {
    console.log = log;
    await server?.remove();
  });
  const refused = (promise, code) => assert.rejects(promise, (e) => e.message.includes(`"error_code":"${code}"`) || assert.fail(e.message));

  test('logs a run from its beginning to its end, and the tracker has it', async () => {
    const { experiment_id } = await mlflow.Experiments.create({ name: 'from npm', artifact_location: '/elsewhere' });
    await mlflow.Experiments.setExperimentTag({ experiment_id, key: 'team', value: 'language' });
    await refused(mlflow.Experiments.create({ name: 'from npm' }), 'RESOURCE_ALREADY_EXISTS');
    const listed = await mlflow.Experiments.list();
    assert.deepEqual(listed.experiments.map((e) => [e.experiment_id, e.name, e.lifecycle_stage]), [[experiment_id, 'from npm', 'active']]);

    const start = Date.UTC(2026, 0, 2);
    const { run } = await mlflow.Runs.create({ experiment_id, user_id: 'ada', start_time: start, tags: [{ key: 'mlflow.runName', value: 'first' }] });
    const run_id = run.info.run_id;
    assert.equal(run.info.status, 'RUNNING');
    for (let step = 0; step < 5; step++) await mlflow.Runs.logMetric({ run_id, key: 'loss', value: 1 / (1 + step), timestamp: start + step, step });
    await mlflow.Runs.logParameter({ run_id, key: 'lr', value: '1e-4' });
    await refused(mlflow.Runs.logParameter({ run_id, key: 'lr', value: '1e-3' }), 'INVALID_PARAMETER_VALUE');
    await mlflow.Runs.logBatch({
      run_id,
      metrics: [{ key: 'eval/f1', value: 0.75, timestamp: start + 9, step: 5 }],
      params: [{ key: 'optimizer', value: 'adamw' }],
      tags: [{ key: 'kind', value: 'trial' }, { key: 'passing', value: 'x' }],
    });
    await mlflow.Runs.setTag({ run_id, key: 'stage', value: 'done' });
    await mlflow.Runs.deleteTag({ run_id, key: 'passing' });
    await mlflow.Runs.update({ run_id, status: 'FINISHED', end_time: start + 60_000 });

    const history = await mlflow.Metrics.getHistory({ run_id, metric_key: 'loss' });
    assert.deepEqual(history.metrics.map((m) => [m.step, m.value]), [0, 1, 2, 3, 4].map((s) => [s, 1 / (1 + s)]));
    assert.deepEqual((await mlflow.Artifacts.list({ run_id })).files, []);

    const here = await api('GET', `/runs/${run_id}`);
    assert.equal(here.name, 'first');
    assert.equal(here.status, 'finished');
    assert.equal(here.started_at, '2026-01-02T00:00:00Z');
    assert.equal(here.ended_at, '2026-01-02T00:01:00Z');
    assert.deepEqual(here.params, { lr: '1e-4', optimizer: 'adamw' });
    assert.deepEqual(here.tags, { 'mlflow.user': 'ada', kind: 'trial', stage: 'done' });
    assert.deepEqual(here.summary, { loss: 0.2, 'eval/f1': 0.75 });
    const found = await api('GET', `/runs/search?filter=${encodeURIComponent('eval/f1 > 0.7 AND tags.kind = trial')}`);
    assert.deepEqual(found.items.map((r) => r.id), [run_id]);
  });

  test('finds a run that was made here, archives it and brings it back', async () => {
    const exp = await api('POST', '/experiments', { name: 'made here' });
    const run = await api('POST', '/runs', { experiment_id: exp.id, name: 'here', params: { lr: '2e-4' } });
    await api('POST', `/runs/${run.id}/metrics`, { 'eval/f1': [{ step: 1, value: 0.5 }] });
    const search = async (run_view_type) =>
      (await mlflow.Runs.search({ experiment_ids: [exp.id], filter: "metrics.`eval/f1` >= 0.5 and params.lr = '2e-4'", run_view_type, max_results: 10 })).runs.map((r) => r.info.run_name);
    assert.deepEqual(await search('ACTIVE_ONLY'), ['here']);
    await mlflow.Runs.delete({ run_id: run.id });
    assert.deepEqual(await search('ACTIVE_ONLY'), []);
    assert.deepEqual(await search('DELETED_ONLY'), ['here']);
    assert.ok((await api('GET', `/runs/${run.id}`)).archived_at);
    await refused(mlflow.Runs.setTag({ run_id: run.id, key: 'a', value: 'b' }), 'INVALID_PARAMETER_VALUE');
    await mlflow.Runs.restore({ run_id: run.id });
    assert.deepEqual(await search('ACTIVE_ONLY'), ['here']);

    await mlflow.Experiments.update({ experiment_id: exp.id, new_name: 'renamed' });
    await mlflow.Experiments.delete({ experiment_id: exp.id });
    assert.equal((await mlflow.Experiments.get({ experiment_id: exp.id })).experiment.lifecycle_stage, 'deleted');
    await mlflow.Experiments.restore({ experiment_id: exp.id });
    assert.equal((await mlflow.Experiments.get({ experiment_id: exp.id })).experiment.name, 'renamed');
    await refused(mlflow.Runs.get({ run_id: 'nobody' }), 'RESOURCE_DOES_NOT_EXIST');
  });
});
