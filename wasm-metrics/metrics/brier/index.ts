// Brier score for any number of classes.
import { Arm, Column, Results, Role, Table, failed, packText } from "../../sdk/assemblyscript/metric";
export { triality_metric_v1, metric_alloc } from "../../sdk/assemblyscript/metric";

const DESCRIPTION = `{
  "name": "brier",
  "version": "1.0.0",
  "description": "Brier score: the squared distance between the class probabilities and the gold class, of each row and on average, for each arm, and B minus A. 0 is best, 2 is certainty in a wrong class. Rows without a gold class, or without every probability, are left out.",
  "formula": "brier = (1/n) * sum over rows of sum over classes c of (p_c - [gold = c])^2",
  "source": "G. W. Brier, Verification of forecasts expressed in terms of probability, Monthly Weather Review 78 (1950)",
  "columns": [
    {"role": "label"},
    {"role": "probability", "arm": "A"},
    {"role": "probability", "arm": "B", "optional": true}
  ],
  "outputs": [
    {"name": "brier.A", "kind": "scalar", "direction": "lower", "arm": "A", "min": 0, "max": 2},
    {"name": "brier.B", "kind": "scalar", "direction": "lower", "arm": "B", "min": 0, "max": 2},
    {"name": "brier.difference", "kind": "scalar", "direction": "lower", "min": -2, "max": 2, "description": "B minus A"},
    {"name": "brier_row.A", "kind": "column", "direction": "lower", "arm": "A", "min": 0, "max": 2},
    {"name": "brier_row.B", "kind": "column", "direction": "lower", "arm": "B", "min": 0, "max": 2}
  ]
}`;

export function metric_describe(): u64 {
  return packText(DESCRIPTION);
}

export function metric_eval(ptr: usize, size: i32): u64 {
  const t = new Table(ptr);
  const label = t.column(Role.Label, Arm.Shared)!;
  const r = new Results();
  const a = scores(t.rows, label, t.columns(Role.Probability, Arm.A));
  if (a == null) return failed("arm A: a probability is not between 0 and 1");
  r.scalar("brier.A", mean(a));
  r.column("brier_row.A", a);
  const columnsB = t.columns(Role.Probability, Arm.B);
  if (columnsB.length > 0) {
    const b = scores(t.rows, label, columnsB);
    if (b == null) return failed("arm B: a probability is not between 0 and 1");
    r.scalar("brier.B", mean(b));
    r.scalar("brier.difference", mean(b) - mean(a));
    r.column("brier_row.B", b);
  }
  return r.block();
}

/** The score of each row; NaN, which is sent as undefined, for one left out. */
function scores(rows: i32, label: Column, p: Column[]): f64[] | null {
  const out = new Array<f64>(rows);
  for (let i = 0; i < rows; i++) {
    let sum: f64 = label.valid(i) ? 0 : NaN;
    for (let c = 0; c < p.length && !isNaN(sum); c++) {
      if (!p[c].valid(i)) {
        sum = NaN;
        break;
      }
      const v = p[c].f64(i);
      if (!(v >= 0 && v <= 1)) return null;
      const d = c == label.i32(i) ? v - 1 : v;
      sum += d * d;
    }
    out[i] = sum;
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
