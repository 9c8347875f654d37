// Matthews correlation coefficient for any number of classes.
import { Arm, Column, Results, Role, Table, packText } from "../../sdk/assemblyscript/metric";
export { triality_metric_v1, metric_alloc } from "../../sdk/assemblyscript/metric";

const DESCRIPTION = `{
  "name": "mcc",
  "version": "1.0.0",
  "description": "Matthews correlation coefficient over all classes, for each arm, and B minus A: 1 for perfect agreement, 0 for none beyond chance. Rows without a gold class are left out; a row without a prediction counts as a class of its own. Undefined where gold or prediction has only one class.",
  "formula": "R_K = (c*s - sum_k p_k*t_k) / sqrt((s^2 - sum_k p_k^2) * (s^2 - sum_k t_k^2)), with c rows predicted right, s rows, p_k rows predicted k, t_k rows of gold k",
  "source": "J. Gorodkin, Comparing two K-category assignments by a K-category correlation coefficient, Computational Biology and Chemistry 28 (2004)",
  "columns": [
    {"role": "label"},
    {"role": "prediction", "arm": "A"},
    {"role": "prediction", "arm": "B", "optional": true}
  ],
  "outputs": [
    {"name": "mcc.A", "kind": "scalar", "direction": "higher", "arm": "A", "min": -1, "max": 1},
    {"name": "mcc.B", "kind": "scalar", "direction": "higher", "arm": "B", "min": -1, "max": 1},
    {"name": "mcc.difference", "kind": "scalar", "direction": "higher", "min": -2, "max": 2}
  ]
}`;

export function metric_describe(): u64 {
  return packText(DESCRIPTION);
}

export function metric_eval(ptr: usize, size: i32): u64 {
  const t = new Table(ptr);
  const label = t.column(Role.Label, Arm.Shared)!;
  const classes = t.classes().length;
  const r = new Results();
  const a = mcc(t.rows, classes, label, t.column(Role.Prediction, Arm.A)!);
  r.scalar("mcc.A", a);
  const columnB = t.column(Role.Prediction, Arm.B);
  if (columnB) {
    const b = mcc(t.rows, classes, label, columnB);
    r.scalar("mcc.B", b);
    r.scalar("mcc.difference", b - a);
  }
  return r.block();
}

function mcc(rows: i32, classes: i32, label: Column, prediction: Column): f64 {
  const gold = new StaticArray<f64>(classes + 1);
  const predicted = new StaticArray<f64>(classes + 1);
  let right: f64 = 0;
  let all: f64 = 0;
  for (let i = 0; i < rows; i++) {
    if (!label.valid(i)) continue;
    const g = label.i32(i);
    const p = prediction.valid(i) ? prediction.i32(i) : classes;
    gold[g] += 1;
    predicted[p] += 1;
    all += 1;
    if (g == p) right += 1;
  }
  let both: f64 = 0;
  let golds: f64 = 0;
  let predictions: f64 = 0;
  for (let k = 0; k <= classes; k++) {
    both += gold[k] * predicted[k];
    golds += gold[k] * gold[k];
    predictions += predicted[k] * predicted[k];
  }
  return (right * all - both) / Math.sqrt((all * all - predictions) * (all * all - golds));
}
