// Cohen's kappa, plain and weighted.
import { Arm, Column, Results, Role, Table, failed, packText } from "../../sdk/assemblyscript/metric";
export { triality_metric_v1, metric_alloc } from "../../sdk/assemblyscript/metric";

const DESCRIPTION = `{
  "name": "cohen_kappa",
  "version": "1.0.0",
  "description": "Cohen's kappa: agreement of prediction and gold class beyond what their frequencies explain, for each arm, and B minus A; 1 is perfect, 0 is chance. Weights make near misses count less where classes have an order. Rows without a gold class are left out; a row without a prediction is as far off as can be. Undefined where chance alone agrees always.",
  "formula": "kappa = 1 - sum_ij w_ij * o_ij / sum_ij w_ij * e_ij, with o_ij rows of gold i predicted j, e_ij = rows of gold i * rows predicted j / rows; w_ij = [i != j], |i - j| / (k - 1) or ((i - j) / (k - 1))^2",
  "source": "J. Cohen, A coefficient of agreement for nominal scales, Educational and Psychological Measurement 20 (1960); J. Cohen, Weighted kappa, Psychological Bulletin 70 (1968)",
  "columns": [
    {"role": "label"},
    {"role": "prediction", "arm": "A"},
    {"role": "prediction", "arm": "B", "optional": true}
  ],
  "outputs": [
    {"name": "kappa.A", "kind": "scalar", "direction": "higher", "arm": "A", "max": 1},
    {"name": "kappa.B", "kind": "scalar", "direction": "higher", "arm": "B", "max": 1},
    {"name": "kappa.difference", "kind": "scalar", "direction": "higher", "description": "B minus A"}
  ],
  "parameters": [
    {"name": "weights", "type": "string", "default": "none", "description": "none, linear or quadratic"}
  ]
}`;

export function metric_describe(): u64 {
  return packText(DESCRIPTION);
}

export function metric_eval(ptr: usize, size: i32): u64 {
  const t = new Table(ptr);
  const weights = t.string("weights");
  const power = weights == "none" ? 0 : weights == "linear" ? 1 : weights == "quadratic" ? 2 : -1;
  if (power < 0) return failed("parameter weights is " + weights + ", want none, linear or quadratic");
  const label = t.column(Role.Label, Arm.Shared)!;
  const classes = t.classes().length;
  const r = new Results();
  const a = kappa(t.rows, classes, power, label, t.column(Role.Prediction, Arm.A)!);
  r.scalar("kappa.A", a);
  const columnB = t.column(Role.Prediction, Arm.B);
  if (columnB) {
    const b = kappa(t.rows, classes, power, label, columnB);
    r.scalar("kappa.B", b);
    r.scalar("kappa.difference", b - a);
  }
  return r.block();
}

function kappa(rows: i32, classes: i32, power: i32, label: Column, prediction: Column): f64 {
  const width = classes + 1; // the last column is for no prediction
  const observed = new StaticArray<f64>(classes * width);
  const gold = new StaticArray<f64>(classes);
  const predicted = new StaticArray<f64>(width);
  let n: f64 = 0;
  for (let i = 0; i < rows; i++) {
    if (!label.valid(i)) continue;
    const g = label.i32(i);
    const p = prediction.valid(i) ? prediction.i32(i) : classes;
    observed[g * width + p] += 1;
    gold[g] += 1;
    predicted[p] += 1;
    n += 1;
  }
  let off: f64 = 0;
  let chance: f64 = 0;
  for (let g = 0; g < classes; g++) {
    for (let p = 0; p < width; p++) {
      const w = weight(g, p, classes, power);
      off += w * observed[g * width + p];
      chance += w * gold[g] * predicted[p];
    }
  }
  return chance == 0 ? NaN : 1 - off * n / chance; // NaN is sent as undefined
}

function weight(g: i32, p: i32, classes: i32, power: i32): f64 {
  if (g == p) return 0;
  if (power == 0 || p == classes) return 1;
  const d = <f64>abs(g - p) / <f64>(classes - 1);
  return power == 1 ? d : d * d;
}
