// Holds a module with the templates' metric, or with that of version 1.1, to the vectors, without anything of
// Triality but the files: a second reading of ABI.md.
//
//   node vectors.mjs MODULE.wasm

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = join(dirname(fileURLToPath(import.meta.url)), "vectors");

/** The ten WASI functions, doing next to nothing: a clock that counts, no files, zeros for random. */
function wasi(memory) {
  let ticks = 0n; // Go's runtime refuses a clock that stands at zero
  const zero = (...pointers) => {
    for (const at of pointers) new DataView(memory().buffer).setUint32(at, 0, true);
    return 0;
  };
  return {
    sched_yield: () => 0,
    proc_exit: (status) => { throw new Error(`proc_exit(${status})`); },
    args_get: () => 0,
    args_sizes_get: zero,
    environ_get: () => 0,
    environ_sizes_get: zero,
    clock_time_get: (id, precision, at) => { new DataView(memory().buffer).setBigUint64(at, ++ticks, true); return 0; },
    random_get: (at, size) => { new Uint8Array(memory().buffer, at, size).fill(0); return 0; },
    fd_write: (fd, list, count, at) => {
      const view = new DataView(memory().buffer);
      let size = 0;
      for (let i = 0; i < count; i++) size += view.getUint32(list + 8 * i + 4, true);
      view.setUint32(at, size, true);
      return 0;
    },
    poll_oneoff: (subscriptions, events, count, at) => zero(at),
  };
}

/** One call in a fresh instance: the block of results. */
function evaluate(module, table) {
  let memory;
  const { exports } = new WebAssembly.Instance(module, { wasi_snapshot_preview1: wasi(() => memory) });
  memory = exports.memory;
  exports._initialize?.();
  const at = exports.metric_alloc(table.length) >>> 0;
  if (at === 0 || at % 16 !== 0) throw new Error(`metric_alloc(${table.length}) gave ${at}`);
  new Uint8Array(memory.buffer, at, table.length).set(table);
  const packed = BigInt.asUintN(64, exports.metric_eval(at, table.length));
  return new Uint8Array(memory.buffer, Number(packed >> 32n), Number(packed & 0xffffffffn)).slice();
}

/** What metric_describe gives. */
function describe(module) {
  let memory;
  const { exports } = new WebAssembly.Instance(module, { wasi_snapshot_preview1: wasi(() => memory) });
  memory = exports.memory;
  exports._initialize?.();
  const packed = BigInt.asUintN(64, exports.metric_describe());
  return JSON.parse(new TextDecoder().decode(new Uint8Array(memory.buffer, Number(packed >> 32n), Number(packed & 0xffffffffn))));
}

/** A block as name → kind and values, each its 64 bits in hexadecimal or null. */
function decode(block) {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  const word = (at) => view.getUint32(at, true);
  const text = (at, size) => new TextDecoder("utf-8", { fatal: true }).decode(block.subarray(at, at + size));
  if (text(0, 4) !== "TMR1" || word(4) !== 1) throw new Error("no block of results of version 1");
  if (word(8) !== 0) throw new Error(`the metric says: ${text(16, word(12))}`);
  const out = {};
  for (let i = 0; i < word(12); i++) {
    const [kind, dtype, name, nameSize, data, size, validity, reserved] = [...Array(8).keys()].map((j) => word(16 + 32 * i + 4 * j));
    const grouped = kind === 5 || kind === 6; // of version 1.1
    if (dtype !== 3 || (reserved !== 0) !== grouped) throw new Error(`result ${i}: dtype ${dtype}, reserved ${reserved}`);
    const values = Array.from({ length: size / 8 }, (_, j) =>
      validity !== 0 && ((block[validity + (j >> 3)] >> (j & 7)) & 1) === 0 ? null : view.getBigUint64(data + 8 * j, true).toString(16));
    const groups = [];
    const n = grouped ? values.length / (kind === 6 ? 3 : 1) : 0;
    for (let j = 0; j < n; j++) {
      const from = word(reserved + 4 * j);
      groups.push(text(reserved + 4 * (n + 1) + from, word(reserved + 4 * (j + 1)) - from));
    }
    out[text(name, nameSize)] = { kind, values, groups };
  }
  return out;
}

const sorted = (results) => JSON.stringify(Object.keys(results).sort().map((name) => [name, results[name]]));

const [file] = process.argv.slice(2);
if (!file) {
  console.error("usage: node vectors.mjs MODULE.wasm");
  process.exit(2);
}
const module = new WebAssembly.Module(readFileSync(file));
const index = JSON.parse(readFileSync(join(folder, "index.json"), "utf8"));
for (const { table, results, note } of describe(module).abi === "1.1" ? index.metric_v1_1 : index.metric) {
  const want = readFileSync(join(folder, results));
  let outcome;
  try {
    const got = evaluate(module, readFileSync(join(folder, table)));
    if (sorted(decode(got)) !== sorted(decode(want))) outcome = "FAILED: other results";
    else outcome = Buffer.compare(got, want) === 0 ? "ok, in canonical form" : "ok";
  } catch (e) {
    outcome = `FAILED: ${e.message}`;
  }
  if (outcome.startsWith("FAILED")) process.exitCode = 1;
  console.log(`${table}: ${outcome} (${note})`);
}
