// Accuracy of the worst group of rows, and how far it is behind.
import { Arm, Column, Results, Role, Table, failed, packText } from "../../sdk/assemblyscript/metric";
export { triality_metric_v1, metric_alloc } from "../../sdk/assemblyscript/metric";

const DESCRIPTION = `{
  "name": "worst_group",
  "version": "1.0.0",
  "description": "Accuracy in the group of rows where it is lowest, and how far that is below the accuracy over all groups, for each arm, and B minus A. Groups are the values of the column that the parameter by names. Rows without a gold class or a group, and groups smaller than min_rows, are left out; a row without a prediction is wrong.",
  "formula": "worst = min over groups g of accuracy_g; gap = accuracy over the rows of all groups - worst",
  "source": "S. Sagawa, P. W. Koh, T. Hashimoto, P. Liang, Distributionally robust neural networks for group shifts, ICLR 2020",
  "columns": [
    {"role": "label"},
    {"role": "prediction", "arm": "A"},
    {"role": "prediction", "arm": "B", "optional": true},
    {"role": "extra", "name": "domain", "dtype": "utf8", "optional": true},
    {"role": "extra", "name": "language", "dtype": "utf8", "optional": true},
    {"role": "group", "optional": true}
  ],
  "outputs": [
    {"name": "worst.A", "kind": "scalar", "direction": "higher", "arm": "A", "min": 0, "max": 1, "description": "accuracy of the worst group"},
    {"name": "worst.B", "kind": "scalar", "direction": "higher", "arm": "B", "min": 0, "max": 1, "description": "accuracy of the worst group"},
    {"name": "worst.difference", "kind": "scalar", "direction": "higher", "min": -1, "max": 1, "description": "B minus A"},
    {"name": "gap.A", "kind": "scalar", "direction": "lower", "arm": "A", "min": 0, "max": 1, "description": "accuracy over all groups minus that of the worst"},
    {"name": "gap.B", "kind": "scalar", "direction": "lower", "arm": "B", "min": 0, "max": 1, "description": "accuracy over all groups minus that of the worst"},
    {"name": "gap.difference", "kind": "scalar", "direction": "lower", "min": -1, "max": 1, "description": "B minus A"},
    {"name": "groups", "kind": "scalar", "direction": "none", "min": 0, "description": "groups that are large enough"}
  ],
  "parameters": [
    {"name": "by", "type": "string", "default": "domain", "description": "domain, language or group"},
    {"name": "min_rows", "type": "integer", "default": 10, "min": 1, "description": "rows that a group must have to be counted"}
  ]
}`;

export function metric_describe(): u64 {
  return packText(DESCRIPTION);
}

export function metric_eval(ptr: usize, size: i32): u64 {
  const t = new Table(ptr);
  const by = t.string("by");
  if (by != "domain" && by != "language" && by != "group") {
    return failed("parameter by is " + by + ", want domain, language or group");
  }
  const column = by == "group" ? t.column(Role.Group, Arm.Shared) : t.named(Role.Extra, by, Arm.Shared);
  if (column == null) return failed("the table has no column " + by + "; set the parameter by to one that it has");
  const label = t.column(Role.Label, Arm.Shared)!;
  const group = column.ids(t.rows);
  const least = t.integer("min_rows");
  const r = new Results();
  const a = measure(t.rows, group, least, label, t.column(Role.Prediction, Arm.A)!);
  r.scalar("worst.A", a.worst);
  r.scalar("gap.A", a.all - a.worst);
  r.scalar("groups", a.groups);
  const columnB = t.column(Role.Prediction, Arm.B);
  if (columnB) {
    const b = measure(t.rows, group, least, label, columnB);
    r.scalar("worst.B", b.worst);
    r.scalar("worst.difference", b.worst - a.worst);
    r.scalar("gap.B", b.all - b.worst);
    r.scalar("gap.difference", b.all - b.worst - (a.all - a.worst));
  }
  return r.block();
}

/** NaN, which is sent as undefined, where no group is large enough. */
class Accuracy {
  worst: f64 = NaN;
  all: f64 = NaN;
  groups: f64 = 0;
}

function measure(rows: i32, group: StaticArray<i32>, least: i64, label: Column, prediction: Column): Accuracy {
  let groups = 0;
  for (let i = 0; i < rows; i++) groups = max(groups, group[i] + 1);
  const right = new StaticArray<f64>(groups);
  const size = new StaticArray<f64>(groups);
  for (let i = 0; i < rows; i++) {
    const g = group[i];
    if (g < 0 || !label.valid(i)) continue;
    size[g] += 1;
    if (prediction.valid(i) && prediction.i32(i) == label.i32(i)) right[g] += 1;
  }
  const out = new Accuracy();
  let allRight: f64 = 0;
  let all: f64 = 0;
  for (let g = 0; g < groups; g++) {
    if (size[g] < <f64>least) continue;
    const accuracy = right[g] / size[g];
    if (out.groups == 0 || accuracy < out.worst) out.worst = accuracy;
    out.groups += 1;
    allRight += right[g];
    all += size[g];
  }
  if (all > 0) out.all = allRight / all;
  return out;
}
