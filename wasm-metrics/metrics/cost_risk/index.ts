// Expected cost of a model's decisions under a cost matrix.
import { Arm, Column, Results, Role, Table, failed, packText } from "../../sdk/assemblyscript/metric";
export { triality_metric_v1, metric_alloc } from "../../sdk/assemblyscript/metric";

const DESCRIPTION = `{
  "name": "cost_risk",
  "version": "1.0.0",
  "description": "Mean cost of a decision under a cost matrix, for each arm and B minus A, and the cost of each row. The default matrix is for ALLOW, ESCALATION, DENY, REFUSE and holds letting REFUSE through the worst. Rows without a gold class have no cost; a row without a prediction costs what missing says.",
  "formula": "risk = (1/n) * sum over rows of cost[gold * classes + predicted]",
  "source": "C. Elkan, The foundations of cost-sensitive learning, IJCAI 2001",
  "columns": [
    {"role": "label"},
    {"role": "prediction", "arm": "A"},
    {"role": "prediction", "arm": "B", "optional": true}
  ],
  "outputs": [
    {"name": "risk.A", "kind": "scalar", "direction": "lower", "arm": "A"},
    {"name": "risk.B", "kind": "scalar", "direction": "lower", "arm": "B"},
    {"name": "risk.difference", "kind": "scalar", "direction": "lower"},
    {"name": "cost.A", "kind": "column", "direction": "lower", "arm": "A"},
    {"name": "cost.B", "kind": "column", "direction": "lower", "arm": "B"}
  ],
  "parameters": [
    {"name": "cost", "type": "numbers", "default": [0, 1, 2, 2, 2, 0, 1, 1, 8, 2, 0, 1, 10, 3, 1, 0],
     "description": "row by row, one row a gold class, one column a predicted class, in class order"},
    {"name": "missing", "type": "number", "default": 5, "description": "cost of a row without a prediction"}
  ]
}`;

export function metric_describe(): u64 {
  return packText(DESCRIPTION);
}

export function metric_eval(ptr: usize, size: i32): u64 {
  const t = new Table(ptr);
  const classes = t.classes().length;
  const cost = t.numbers("cost");
  if (cost.length != classes * classes) {
    return failed("parameter cost has " + cost.length.toString() + " values, " + classes.toString() +
      " classes need " + (classes * classes).toString());
  }
  const missing = t.parameter("missing").f64(0);
  const label = t.column(Role.Label, Arm.Shared)!;
  const r = new Results();
  const a = costs(t.rows, classes, cost, missing, label, t.column(Role.Prediction, Arm.A)!);
  r.scalar("risk.A", mean(a));
  r.column("cost.A", a);
  const columnB = t.column(Role.Prediction, Arm.B);
  if (columnB) {
    const b = costs(t.rows, classes, cost, missing, label, columnB);
    r.scalar("risk.B", mean(b));
    r.scalar("risk.difference", mean(b) - mean(a));
    r.column("cost.B", b);
  }
  return r.block();
}

/** The cost of each row; NaN, which is sent as undefined, without a gold class. */
function costs(rows: i32, classes: i32, cost: f64[], missing: f64, label: Column, prediction: Column): f64[] {
  const out = new Array<f64>(rows);
  for (let i = 0; i < rows; i++) {
    if (!label.valid(i)) out[i] = NaN;
    else if (!prediction.valid(i)) out[i] = missing;
    else out[i] = cost[label.i32(i) * classes + prediction.i32(i)];
  }
  return out;
}

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
