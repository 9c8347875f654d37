// Log loss for any number of classes.
import { Arm, Column, Results, Role, Table, failed, packText } from "../../sdk/assemblyscript/metric";
export { triality_metric_v1, metric_alloc } from "../../sdk/assemblyscript/metric";

const DESCRIPTION = `{
  "name": "log_loss",
  "version": "1.0.0",
  "description": "Log loss, or cross-entropy in nats: minus the natural logarithm of the probability given to the gold class, of each row and on average, for each arm, and B minus A. Rows without a gold class, or without its probability, are left out.",
  "formula": "log_loss = (1/n) * sum over rows of -ln(max(p_gold, epsilon))",
  "source": "I. J. Good, Rational decisions, Journal of the Royal Statistical Society B 14 (1952)",
  "columns": [
    {"role": "label"},
    {"role": "probability", "arm": "A"},
    {"role": "probability", "arm": "B", "optional": true}
  ],
  "outputs": [
    {"name": "log_loss.A", "kind": "scalar", "direction": "lower", "arm": "A", "min": 0},
    {"name": "log_loss.B", "kind": "scalar", "direction": "lower", "arm": "B", "min": 0},
    {"name": "log_loss.difference", "kind": "scalar", "direction": "lower", "description": "B minus A"},
    {"name": "log_loss_row.A", "kind": "column", "direction": "lower", "arm": "A", "min": 0},
    {"name": "log_loss_row.B", "kind": "column", "direction": "lower", "arm": "B", "min": 0}
  ],
  "parameters": [
    {"name": "epsilon", "type": "number", "default": 1e-15, "min": 1e-300, "max": 0.5, "description": "the least probability that counts; it bounds the loss of one row"}
  ]
}`;

export function metric_describe(): u64 {
  return packText(DESCRIPTION);
}

export function metric_eval(ptr: usize, size: i32): u64 {
  const t = new Table(ptr);
  const label = t.column(Role.Label, Arm.Shared)!;
  const epsilon = t.number("epsilon");
  const r = new Results();
  const a = losses(t.rows, label, t.columns(Role.Probability, Arm.A), epsilon);
  if (a == null) return failed("arm A: a probability is not between 0 and 1");
  r.scalar("log_loss.A", mean(a));
  r.column("log_loss_row.A", a);
  const columnsB = t.columns(Role.Probability, Arm.B);
  if (columnsB.length > 0) {
    const b = losses(t.rows, label, columnsB, epsilon);
    if (b == null) return failed("arm B: a probability is not between 0 and 1");
    r.scalar("log_loss.B", mean(b));
    r.scalar("log_loss.difference", mean(b) - mean(a));
    r.column("log_loss_row.B", b);
  }
  return r.block();
}

/** The loss of each row; NaN, which is sent as undefined, for one left out. */
function losses(rows: i32, label: Column, p: Column[], epsilon: f64): f64[] | null {
  const out = new Array<f64>(rows);
  for (let i = 0; i < rows; i++) {
    out[i] = NaN;
    if (!label.valid(i)) continue;
    const gold = p[label.i32(i)];
    if (!gold.valid(i)) continue;
    const v = gold.f64(i);
    if (!(v >= 0 && v <= 1)) return null;
    out[i] = 0 - Math.log(max(v, epsilon)); // not -log, which makes -0 of 0
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
