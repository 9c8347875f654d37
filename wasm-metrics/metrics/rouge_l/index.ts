// ROUGE-L: longest common subsequence with a reference text.
import { Arm, Column, Results, Role, Table, failed, packText } from "../../sdk/assemblyscript/metric";
import { Pairs, Sequence, characters, words } from "../../sdk/assemblyscript/text";
export { triality_metric_v1, metric_alloc } from "../../sdk/assemblyscript/metric";

const DESCRIPTION = `{
  "name": "rouge_l",
  "version": "1.0.0",
  "description": "ROUGE-L of the output text against the column reference: the longest sequence of words, not necessarily adjacent, that both have in that order, of each row and on average over rows, for each arm, and B minus A; between 0 and 1. Words are what white space parts, taken as they are; for languages without spaces, set unit to character. Rows whose reference is missing or blank are left out; a row without output scores 0.",
  "formula": "P = LCS / length of output, R = LCS / length of reference, ROUGE-L = (1 + beta^2) * P * R / (beta^2 * P + R)",
  "source": "C.-Y. Lin, ROUGE: a package for automatic evaluation of summaries, ACL workshop Text Summarization Branches Out, 2004",
  "columns": [
    {"role": "extra", "name": "reference", "dtype": "utf8"},
    {"role": "output", "arm": "A"},
    {"role": "output", "arm": "B", "optional": true}
  ],
  "outputs": [
    {"name": "rouge_l.A", "kind": "scalar", "direction": "higher", "arm": "A", "min": 0, "max": 1},
    {"name": "rouge_l.B", "kind": "scalar", "direction": "higher", "arm": "B", "min": 0, "max": 1},
    {"name": "rouge_l.difference", "kind": "scalar", "direction": "higher", "min": -1, "max": 1, "description": "B minus A"},
    {"name": "rouge_l_row.A", "kind": "column", "direction": "higher", "arm": "A", "min": 0, "max": 1},
    {"name": "rouge_l_row.B", "kind": "column", "direction": "higher", "arm": "B", "min": 0, "max": 1}
  ],
  "parameters": [
    {"name": "unit", "type": "string", "default": "word", "description": "word or character"},
    {"name": "beta", "type": "number", "default": 1, "min": 0, "max": 100, "description": "how many times as much recall weighs as precision"}
  ]
}`;

export function metric_describe(): u64 {
  return packText(DESCRIPTION);
}

export function metric_eval(ptr: usize, size: i32): u64 {
  const t = new Table(ptr);
  const reference = t.named(Role.Extra, "reference", Arm.Shared)!;
  const unit = t.string("unit");
  if (unit != "word" && unit != "character") return failed("parameter unit is " + unit + ", want word or character");
  const beta = t.number("beta");
  const r = new Results();
  const a = scores(t.rows, reference, t.column(Role.Output, Arm.A)!, unit == "word", beta);
  r.scalar("rouge_l.A", mean(a));
  r.column("rouge_l_row.A", a);
  const columnB = t.column(Role.Output, Arm.B);
  if (columnB) {
    const b = scores(t.rows, reference, columnB, unit == "word", beta);
    r.scalar("rouge_l.B", mean(b));
    r.scalar("rouge_l.difference", mean(b) - mean(a));
    r.column("rouge_l_row.B", b);
  }
  return r.block();
}

const pairs = new Pairs();
const output = new Sequence(); // words or characters
const wanted = new Sequence();
const lengths = new Sequence(); // of the longest common subsequence so far, for each beginning of wanted

/** The score of each row; NaN, which is sent as undefined, for one left out. */
function scores(rows: i32, reference: Column, column: Column, byWord: bool, beta: f64): f64[] {
  const out = new Array<f64>(rows);
  for (let i = 0; i < rows; i++) {
    out[i] = NaN;
    if (!reference.valid(i)) continue;
    pairs.reset(reference.bytes(i) + (column.valid(i) ? column.bytes(i) : 0));
    split(reference, i, byWord, wanted);
    if (wanted.length == 0) continue;
    out[i] = 0;
    if (!column.valid(i)) continue;
    split(column, i, byWord, output);
    const common = <f64>longest();
    if (common == 0) continue;
    const precision = common / <f64>output.length;
    const recall = common / <f64>wanted.length;
    out[i] = (1 + beta * beta) * precision * recall / (beta * beta * precision + recall);
  }
  return out;
}

function split(c: Column, i: i32, byWord: bool, out: Sequence): void {
  if (byWord) words(c.start(i), c.bytes(i), pairs, out);
  else characters(c.start(i), c.bytes(i), out);
}

/** Length of the longest common subsequence, one row of the table at a time. */
function longest(): u32 {
  lengths.clear();
  for (let j = 0; j <= wanted.length; j++) lengths.push(0);
  for (let i = 0; i < output.length; i++) {
    const token = output.at(i);
    let diagonal: u32 = 0; // what lengths.at(j) was a row ago
    for (let j = 0; j < wanted.length; j++) {
      const above = lengths.at(j + 1);
      lengths.set(j + 1, token == wanted.at(j) ? diagonal + 1 : max(above, lengths.at(j)));
      diagonal = above;
    }
  }
  return lengths.at(wanted.length);
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
