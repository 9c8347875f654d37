// chrF: overlap of character n-grams with a reference text.
import { Arm, Column, Results, Role, Table, packText } from "../../sdk/assemblyscript/metric";
import { Pairs, Sequence, characters } from "../../sdk/assemblyscript/text";
export { triality_metric_v1, metric_alloc } from "../../sdk/assemblyscript/metric";

const DESCRIPTION = `{
  "name": "chrf",
  "version": "1.0.0",
  "description": "chrF of the output text against the column reference: how many character n-grams they share, of each row and on average over rows, for each arm, and B minus A; between 0 and 1. White space is left out. Orders for which one of the texts is too short are left out of the average. Rows whose reference is missing or blank are left out; a row without output scores 0.",
  "formula": "chrF = (1 + beta^2) * P * R / (beta^2 * P + R), P and R being the means over n = 1 ... order of the share of the output's, and of the reference's, n-grams that the other has too, each as often as in the one with fewer",
  "source": "M. Popovic, chrF: character n-gram F-score for automatic MT evaluation, WMT 2015",
  "columns": [
    {"role": "extra", "name": "reference", "dtype": "utf8"},
    {"role": "output", "arm": "A"},
    {"role": "output", "arm": "B", "optional": true}
  ],
  "outputs": [
    {"name": "chrf.A", "kind": "scalar", "direction": "higher", "arm": "A", "min": 0, "max": 1},
    {"name": "chrf.B", "kind": "scalar", "direction": "higher", "arm": "B", "min": 0, "max": 1},
    {"name": "chrf.difference", "kind": "scalar", "direction": "higher", "min": -1, "max": 1, "description": "B minus A"},
    {"name": "chrf_row.A", "kind": "column", "direction": "higher", "arm": "A", "min": 0, "max": 1},
    {"name": "chrf_row.B", "kind": "column", "direction": "higher", "arm": "B", "min": 0, "max": 1}
  ],
  "parameters": [
    {"name": "order", "type": "integer", "default": 6, "min": 1, "max": 20, "description": "longest n-gram"},
    {"name": "beta", "type": "number", "default": 2, "min": 0, "max": 100, "description": "how many times as much recall weighs as precision"}
  ]
}`;

export function metric_describe(): u64 {
  return packText(DESCRIPTION);
}

export function metric_eval(ptr: usize, size: i32): u64 {
  const t = new Table(ptr);
  const reference = t.named(Role.Extra, "reference", Arm.Shared)!;
  const order = <i32>t.integer("order");
  const beta = t.number("beta");
  const r = new Results();
  const a = scores(t.rows, reference, t.column(Role.Output, Arm.A)!, order, beta);
  r.scalar("chrf.A", mean(a));
  r.column("chrf_row.A", a);
  const columnB = t.column(Role.Output, Arm.B);
  if (columnB) {
    const b = scores(t.rows, reference, columnB, order, beta);
    r.scalar("chrf.B", mean(b));
    r.scalar("chrf.difference", mean(b) - mean(a));
    r.column("chrf_row.B", b);
  }
  return r.block();
}

const pairs = new Pairs();
const output = new Sequence(); // characters
const wanted = new Sequence();
const outputIds = new Sequence(); // the n-gram that begins at each character
const wantedIds = new Sequence();
const counts = new Sequence(); // of each n-gram in the output

/** The score of each row; NaN, which is sent as undefined, for one left out. */
function scores(rows: i32, reference: Column, column: Column, order: i32, beta: f64): f64[] {
  const out = new Array<f64>(rows);
  for (let i = 0; i < rows; i++) {
    out[i] = NaN;
    if (!reference.valid(i)) continue;
    characters(reference.start(i), reference.bytes(i), wanted);
    if (wanted.length == 0) continue;
    out[i] = 0;
    if (!column.valid(i)) continue;
    characters(column.start(i), column.bytes(i), output);
    out[i] = score(order, beta);
  }
  return out;
}

function score(order: i32, beta: f64): f64 {
  let precision: f64 = 0;
  let recall: f64 = 0;
  const orders = min(order, min(output.length, wanted.length));
  outputIds.clear();
  wantedIds.clear();
  for (let i = 0; i < output.length; i++) outputIds.push(0);
  for (let i = 0; i < wanted.length; i++) wantedIds.push(0);
  for (let n = 1; n <= orders; n++) {
    const ofOutput = output.length - n + 1;
    const ofWanted = wanted.length - n + 1;
    pairs.reset(ofOutput + ofWanted);
    counts.clear();
    counts.push(0); // ids begin at 1
    // The n-gram at i is the (n-1)-gram at i and the character after it.
    for (let i = 0; i < ofOutput; i++) {
      const id = pairs.id(outputIds.at(i), output.at(i + n - 1));
      outputIds.set(i, id);
      if (<i32>id == counts.length) counts.push(1);
      else counts.set(id, counts.at(id) + 1);
    }
    let shared: f64 = 0;
    for (let i = 0; i < ofWanted; i++) {
      const id = pairs.id(wantedIds.at(i), wanted.at(i + n - 1));
      wantedIds.set(i, id);
      if (<i32>id < counts.length && counts.at(id) > 0) {
        counts.set(id, counts.at(id) - 1);
        shared += 1;
      }
    }
    precision += shared / <f64>ofOutput;
    recall += shared / <f64>ofWanted;
  }
  if (precision == 0) return 0; // nothing shared; recall is 0 as well
  precision /= <f64>orders;
  recall /= <f64>orders;
  return (1 + beta * beta) * precision * recall / (beta * beta * precision + recall);
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
