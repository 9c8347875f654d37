import { Arm, Results, Role, Table, ofArm, packText } from "./metric";
export { triality_metric_v1, metric_alloc } from "./metric";

const DESCRIPTION = `@DESCRIPTION@`;

export function metric_describe(): u64 {
  return packText(DESCRIPTION);
}

export function metric_eval(ptr: usize, size: i32): u64 {
  const t = new Table(ptr);
  const label = t.column(Role.Label, Arm.Shared)!;
  const topic = t.named(Role.Extra, "topic", Arm.Shared)!;
  const r = new Results();
  const arms = t.arms().length;
  for (let arm = 1; arm <= arms; arm++) {
    const p = t.column(Role.Prediction, arm)!;
    const lists = t.column(Role.TokenLogProb, arm)!;
    let right: f64 = 0;
    let n: f64 = 0;
    let tokens: f64 = 0;
    for (let i = 0; i < t.rows; i++) {
      if (label.valid(i) && p.valid(i)) {
        n += 1;
        if (label.i32(i) == p.i32(i)) right += 1;
      }
      if (lists.valid(i)) tokens += <f64>lists.list(i).length;
    }
    const rate = right / n;
    r.interval(ofArm("rate", arm), rate, rate - 1 / n, rate + 1 / n);
    r.scalar(ofArm("tokens", arm), tokens);
  }
  const names: string[] = [];
  const rows: f64[] = [];
  const counts: f64[] = [];
  const all: f64[] = [];
  const lists = t.column(Role.TokenLogProb, Arm.A)!;
  for (let i = 0; i < t.rows; i++) {
    if (!topic.valid(i)) continue;
    const name = topic.text(i);
    let at = names.indexOf(name);
    if (at < 0) {
      at = names.length;
      names.push(name);
      rows.push(0);
      counts.push(0);
      for (let k = 0; k < 3; k++) all.push(0);
    }
    rows[at] += 1;
    if (!lists.valid(i)) continue;
    const list = lists.list(i);
    for (let j = 0; j < list.length; j++) {
      const v = list[j];
      if (counts[at] == 0 || v < all[3 * at + 1]) all[3 * at + 1] = v;
      if (counts[at] == 0 || v > all[3 * at + 2]) all[3 * at + 2] = v;
      all[3 * at] += v;
      counts[at] += 1;
    }
  }
  for (let i = 0; i < names.length; i++) {
    all[3 * i] /= counts[i];
    if (counts[i] == 0) {
      all[3 * i + 1] = NaN;
      all[3 * i + 2] = NaN;
    }
  }
  r.groups("topic_rows", names, rows);
  r.groupIntervals("topic_logprob", names, all);
  return r.block();
}
