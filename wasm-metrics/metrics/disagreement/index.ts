// Where two models differ.
import { Arm, Column, Results, Role, Table, packText } from "../../sdk/assemblyscript/metric";
export { triality_metric_v1, metric_alloc } from "../../sdk/assemblyscript/metric";

const DESCRIPTION = `{
  "name": "disagreement",
  "version": "1.0.0",
  "description": "Where the two arms differ: per row whether they predict different classes, and how far apart their class probabilities are, with the share and the mean over rows. No gold class is needed. A row where only one arm has a prediction counts as different, one where neither has as equal; the distance is undefined where a probability is missing.",
  "formula": "disagreement = |rows with prediction_A != prediction_B| / rows; distance = (1/2) * sum over classes c of |pA_c - pB_c|",
  "source": "M. Milani Fard, Q. Cormier, K. Canini, M. Gupta, Launch and iterate: reducing prediction churn, NIPS 2016; the distance is the total variation distance: D. A. Levin, Y. Peres, Markov Chains and Mixing Times (2017), section 4.1",
  "columns": [
    {"role": "prediction", "arm": "A"},
    {"role": "prediction", "arm": "B"},
    {"role": "probability", "arm": "A", "optional": true},
    {"role": "probability", "arm": "B", "optional": true}
  ],
  "outputs": [
    {"name": "disagreement", "kind": "scalar", "direction": "none", "min": 0, "max": 1},
    {"name": "differs", "kind": "column", "direction": "none", "min": 0, "max": 1, "description": "1 where the predictions differ"},
    {"name": "distance", "kind": "scalar", "direction": "none", "min": 0, "description": "mean over the rows that have one"},
    {"name": "distance_row", "kind": "column", "direction": "none", "min": 0}
  ]
}`;

export function metric_describe(): u64 {
  return packText(DESCRIPTION);
}

export function metric_eval(ptr: usize, size: i32): u64 {
  const t = new Table(ptr);
  const a = t.column(Role.Prediction, Arm.A)!;
  const b = t.column(Role.Prediction, Arm.B)!;
  const differs = new Array<f64>(t.rows);
  for (let i = 0; i < t.rows; i++) {
    const one = a.valid(i) ? a.i32(i) : -1;
    const other = b.valid(i) ? b.i32(i) : -1;
    differs[i] = one == other ? 0 : 1;
  }
  const r = new Results();
  r.scalar("disagreement", mean(differs));
  r.column("differs", differs);
  const pA = t.columns(Role.Probability, Arm.A);
  const pB = t.columns(Role.Probability, Arm.B);
  if (pA.length > 0 && pA.length == pB.length) {
    const far = distances(t.rows, pA, pB);
    r.scalar("distance", mean(far));
    r.column("distance_row", far);
  }
  return r.block();
}

/** NaN, which is sent as undefined, where a probability is missing. */
function distances(rows: i32, a: Column[], b: Column[]): f64[] {
  const out = new Array<f64>(rows);
  for (let i = 0; i < rows; i++) {
    let sum: f64 = 0;
    for (let c = 0; c < a.length; c++) {
      sum += a[c].valid(i) && b[c].valid(i) ? Math.abs(a[c].f64(i) - b[c].f64(i)) : NaN;
    }
    out[i] = sum / 2;
  }
  return out;
}

/** The mean of what is defined. */
function mean(v: f64[]): f64 {
  let sum: f64 = 0;
  let n: f64 = 0;
  for (let i = 0; i < v.length; i++) {
    if (isNaN(v[i])) continue;
    sum += v[i];
    n += 1;
  }
  return sum / n;
}
