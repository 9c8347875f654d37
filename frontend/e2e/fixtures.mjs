// What the tests log: bodies in the shapes of experiments/*.go, with figures made by a fixed generator.

export const labels = ['ALLOW', 'ESCALATION', 'DENY', 'REFUSE'];

/** Numbers in [0, 1), the same each time (mulberry32). */
export function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const texts = {
  en: ['Show me the invoice of last month.', 'Reset the password of another user.', 'Send the customer list to a private address.', 'The brake warning light stays on after the inspection.'],
  ja: ['先月の請求書を表示してください。', '他の利用者のパスワードを初期化してください。', '顧客名簿を個人のメールアドレスへ送ってください。', '点検後もブレーキの警告灯が消えません。'],
};

/** An A/B result whose matrices, scores and McNemar counts all follow from its samples. */
export function abResult(rows = 120) {
  const rnd = random(7);
  const samples = [];
  for (let index = 0; index < rows; index++) {
    const gold = index % 4;
    const pick = (right) => (rnd() < right ? gold : Math.floor(rnd() * 4));
    const a = pick(0.72);
    const b = pick(0.88);
    const probabilities = (top) => {
      const p = labels.map((_, i) => (i === top ? 1.5 + rnd() : 0.1 + rnd() * 0.4));
      const sum = p.reduce((x, y) => x + y);
      return p.map((x) => x / sum);
    };
    const language = index % 3 === 0 ? 'ja' : 'en';
    samples.push({
      index,
      group: `g${Math.floor(index / 2)}`,
      text: `${texts[language][gold]} (${index})`,
      language,
      label: labels[gold],
      prediction_a: labels[a],
      prediction_b: labels[b],
      probability_a: probabilities(a),
      probability_b: probabilities(b),
      latency_a_ms: 4 + rnd() * 2,
      latency_b_ms: 5 + rnd() * 2,
      domain: ['finance', 'it', 'factory'][index % 3],
    });
  }
  const arm = (name, key, latency, kind) => {
    const confusion = labels.map((g) => labels.map((p) => samples.filter((s) => s.label === g && s[key] === p).length));
    const per_class = labels.map((label, i) => {
      const support = confusion[i].reduce((x, y) => x + y);
      const predicted = confusion.reduce((n, row) => n + row[i], 0);
      const precision = predicted ? confusion[i][i] / predicted : 0;
      const recall = support ? confusion[i][i] / support : 0;
      const f1 = precision + recall ? (2 * precision * recall) / (precision + recall) : 0;
      return { label, support, precision, recall, f1 };
    });
    const times = samples.map((s) => s[latency]).sort((x, y) => x - y);
    return {
      name,
      model: name === 'A' ? 'work/base' : 'work/demo/so8t',
      kind,
      scores: {
        accuracy: confusion.reduce((n, row, i) => n + row[i], 0) / rows,
        macro_f1: per_class.reduce((n, c) => n + c.f1, 0) / 4,
      },
      latency: {
        median_ms: times[Math.floor(rows / 2)],
        p95_ms: times[Math.floor(rows * 0.95)],
        mean_ms: times.reduce((x, y) => x + y) / rows,
      },
      confusion,
      per_class,
    };
  };
  const a = arm('A', 'prediction_a', 'latency_a_ms', 'hf');
  const b = arm('B', 'prediction_b', 'latency_b_ms', 'so8t');
  const right = (s, k) => s[k] === s.label;
  const only_a = samples.filter((s) => right(s, 'prediction_a') && !right(s, 'prediction_b')).length;
  const only_b = samples.filter((s) => !right(s, 'prediction_a') && right(s, 'prediction_b')).length;
  const difference = (metric, x, y, half, better) => ({
    metric, a: x, b: y, delta: y - x, low: y - x - half, high: y - x + half, better, resamples: 2000,
  });
  return {
    rows,
    arms: [a, b],
    differences: [
      difference('accuracy', a.scores.accuracy, b.scores.accuracy, 0.07, 'higher'),
      difference('macro_f1', a.scores.macro_f1, b.scores.macro_f1, 0.2, 'higher'),
      difference('latency_median_ms', a.latency.median_ms, b.latency.median_ms, 0.21, 'lower'),
    ],
    test_set: { path: 'data/test.jsonl', rows, skipped: 0, checked: true, train_rows: 640, in_training: 0, same_group: 0, near_duplicates: 0 },
    mcnemar: { only_a, only_b, statistic: (Math.abs(only_a - only_b) - 1) ** 2 / (only_a + only_b), p_value: 0.0042, exact: false },
    baselines: [
      { name: 'majority class', scores: { accuracy: 0.25, macro_f1: 0.1 }, detail: 'always ALLOW' },
      { name: 'naive Bayes', scores: { accuracy: 0.61, macro_f1: 0.6 }, detail: 'character 2- and 3-grams, Laplace smoothing 1' },
    ],
    metrics: [
      {
        name: 'false_allow', version: '1.0.0', sha256: 'ab'.repeat(32), params: { threshold: 0.5 }, wall_ms: 3.2,
        outputs: [
          { name: 'rate_a', kind: 'scalar', direction: 'lower', values: [0.083] },
          { name: 'rate_b', kind: 'scalar', direction: 'lower', values: [0.017] },
          { name: 'undefined_here', kind: 'scalar', direction: 'none', values: [null] },
        ],
      },
      {
        name: 'calibration', version: '0.2.1', sha256: 'cd'.repeat(32), wall_ms: 12,
        outputs: [{ name: 'margin', kind: 'column', direction: 'none', values: samples.map((s) => s.probability_b[0]) }],
      },
      {
        name: 'calibration', version: '0.2.1', sha256: 'cd'.repeat(32), key: 'cd00000000000001', params: { bins: 20 }, wall_ms: 14,
        outputs: [
          { name: 'accuracy.B', kind: 'interval', direction: 'higher', level: 0.9, values: [0.8125, 0.75, 0.875] },
          { name: 'by_domain', kind: 'group_intervals', direction: 'higher', level: 0.95, groups: ['finance', 'it', '工場'], values: [0.9, 0.8, 0.95, 0.5, 0.25, 0.75, null, null, null] },
          { name: 'rows', kind: 'groups', direction: 'none', groups: ['en', 'ja'], values: [80, 40] },
        ],
        slices: [
          { by: 'class', value: 'ALLOW', rows: 30, outputs: [{ name: 'accuracy.B', kind: 'interval', direction: 'higher', level: 0.9, values: [0.7, 0.6, 0.8] }] },
          { by: 'topic', value: '', rows: 4, error: 'metric_eval: it used up its fuel' },
        ],
      },
      { name: 'too_slow', version: '0.1.0', sha256: 'ef'.repeat(32), wall_ms: 2000, error: 'the metric ran past its 2 s limit and was stopped' },
    ],
    samples,
    device: 'cpu, 2 threads',
    warmup: 8,
    environment: { go: 'go1.26', os: 'linux/amd64', seed: '42' },
  };
}

export const dataSummary = {
  files: ['configs/sample/four_class_en.jsonl', 'configs/sample/four_class_ja.jsonl'],
  rows: 800, skipped: 2,
  problems: ['configs/sample/four_class_en.jsonl:17: four_class_label "MAYBE": want ALLOW, ESCALATION, DENY or REFUSE'],
  groups: 400,
  splits: [
    { name: 'train', rows: 640, groups: 320, tokens: 41234, labels: { ALLOW: 160, ESCALATION: 160, DENY: 160, REFUSE: 160 } },
    { name: 'val', rows: 80, groups: 40, tokens: 5120, labels: { ALLOW: 20, ESCALATION: 20, DENY: 20, REFUSE: 20 } },
    { name: 'test', rows: 80, groups: 40, tokens: 5009, labels: { ALLOW: 20, ESCALATION: 20, DENY: 20, REFUSE: 20 } },
  ],
  languages: { en: 400, ja: 400 },
  domains: { finance: { ALLOW: 70, ESCALATION: 60, DENY: 70, REFUSE: 60 }, it: { ALLOW: 130, ESCALATION: 140, DENY: 130, REFUSE: 140 } },
  duplicates: 3, leaks: 0, contradictions: 1, mismatches: 0, dropped: 1, seed: 42,
  findings: ['1 text has several labels'],
};

export const replacement = {
  source_hash: '9f2c'.repeat(16), vocab_size: 4096, hidden_size: 128,
  heads: { attention: 4, key_value: 2 }, max_logit_difference: 0.00000131, tolerance: 0.0001, created_at: '2026-11-22T17:00:00Z',
};

/** Curves of a short training, with a gap where the loss was not a number. */
export function curves(seed, steps = 300) {
  const rnd = random(seed);
  const start = Date.parse('2026-11-22T09:00:00Z');
  const point = (step, value) => ({ step, time: start + step * 400, value });
  const batch = { 'train/loss': [], 'train/learning_rate': [], 'eval/loss': [], 'eval/accuracy': [] };
  for (let step = 0; step < steps; step++) {
    const loss = 1.9 * Math.exp(-step / (70 + 10 * seed)) + 0.12 + rnd() * 0.09;
    batch['train/loss'].push(point(step, step > 140 && step < 150 ? null : loss));
    batch['train/learning_rate'].push(point(step, 0.002 * 0.5 * (1 + Math.cos((Math.PI * step) / steps))));
    if (step % 20 === 0) {
      batch['eval/loss'].push(point(step, loss + 0.1));
      batch['eval/accuracy'].push(point(step, 0.9 - 0.6 * Math.exp(-step / 80) + rnd() * 0.02));
    }
    for (let layer = 0; layer < 3 && step % 10 === 0; layer++) {
      (batch[`so8t/orthogonality/layer_${layer}`] ??= []).push(point(step, 1e-7 * (1 + layer + rnd())));
    }
  }
  return batch;
}
