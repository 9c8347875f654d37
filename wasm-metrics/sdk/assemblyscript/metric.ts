// The AssemblyScript SDK of triality_metric_v1; see ABI.md for the layout.
//
// A metric imports { Table, Column, Results, Role, Arm } from here, and its
// entry file re-exports the interface and defines two functions:
//
//   export { triality_metric_v1, metric_alloc } from "./metric";
//   export function metric_describe(): u64 { return packText(DESCRIPTION); }
//   export function metric_eval(ptr: usize, size: i32): u64 { ... return results.block(); }
//
// Built without a collector (--runtime stub): an instance lives for one call.

const TABLE_MAGIC: u32 = 0x31544d54;
const RESULT_MAGIC: u32 = 0x31524d54;

export namespace Role {
  export const Label: u32 = 1;
  export const Prediction: u32 = 2;
  export const Probability: u32 = 3;
  export const Text: u32 = 4;
  export const Output: u32 = 5;
  export const Latency: u32 = 6;
  export const Group: u32 = 7;
  export const Extra: u32 = 8;
  export const Class: u32 = 9;
  export const Parameter: u32 = 10;
  // Of version 1.1, which a description asks for by "abi": "1.1".
  export const TokenLogProb: u32 = 11;
  export const ArmName: u32 = 12;
}

export namespace Arm {
  export const Shared: u32 = 0;
  export const A: u32 = 1;
  export const B: u32 = 2;
}

/** What an arm's result is called of an output that each arm has. */
export function ofArm(name: string, arm: u32): string {
  return name + "." + String.fromCharCode(64 + arm);
}

/** Ends the module with a trap; built with --use abort=…/metric/trap. */
export function trap(message: string | null, file: string | null, line: u32, column: u32): void {
  unreachable();
}

export function triality_metric_v1(): void {}

export function metric_alloc(size: i32): usize {
  // The stub allocator aligns to 16 and grows memory as needed.
  return size < 0 ? 0 : heap.alloc(max(size, 1));
}

/** One column; rows are read in place. */
export class Column {
  constructor(private table: usize, private record: usize) {}

  get role(): u32 { return load<u32>(this.record); }
  get arm(): u32 { return load<u32>(this.record, 4); }
  get data(): usize { return this.table + load<u32>(this.record, 16); }
  /** Bytes of the data buffer. */
  get size(): i32 { return load<i32>(this.record, 20); }

  get name(): string {
    const off = load<u32>(this.record, 12) & ~15;
    if (off == 0) return "";
    const at = this.table + off;
    return String.UTF8.decodeUnsafe(at + 4, load<u32>(at));
  }

  /** Whether row i has a value. */
  valid(i: i32): bool {
    const off = load<u32>(this.record, 28);
    return off == 0 || ((load<u8>(this.table + off + (i >> 3)) >> <u8>(i & 7)) & 1) == 1;
  }

  i32(i: i32): i32 { return load<i32>(this.data + ((<usize>i) << 2)); }
  i64(i: i32): i64 { return load<i64>(this.data + ((<usize>i) << 3)); }
  f64(i: i32): f64 { return load<f64>(this.data + ((<usize>i) << 3)); }

  /** Row i of a f64_list column. */
  list(i: i32): f64[] {
    const at = this.table + load<u32>(this.record, 24) + ((<usize>i) << 2);
    const out: f64[] = [];
    for (let j = load<i32>(at); j < load<i32>(at, 4); j++) out.push(this.f64(j));
    return out;
  }

  text(i: i32): string { return String.UTF8.decodeUnsafe(this.start(i), this.bytes(i)); }

  /** Where the UTF-8 of row i of a utf8 column begins. */
  start(i: i32): usize {
    return this.data + load<u32>(this.table + load<u32>(this.record, 24) + ((<usize>i) << 2));
  }

  /** How many bytes row i of a utf8 column has. */
  bytes(i: i32): i32 {
    const at = this.table + load<u32>(this.record, 24) + ((<usize>i) << 2);
    return load<i32>(at, 4) - load<i32>(at);
  }

  /**
   * A number for each row of a utf8 column: rows of the same text have the
   * same, in order of first appearance from 0; -1 without a value.
   */
  ids(rows: i32): StaticArray<i32> {
    const out = new StaticArray<i32>(rows);
    let mask = 15;
    while (mask < rows * 2) mask = mask * 2 + 1;
    const slots = new StaticArray<i32>(mask + 1); // a row with the text, from 1
    let next = 0;
    for (let i = 0; i < rows; i++) {
      if (!this.valid(i)) {
        out[i] = -1;
        continue;
      }
      const at = this.start(i);
      const size = this.bytes(i);
      let slot = 0x811c9dc5; // FNV-1a
      for (let j = 0; j < size; j++) slot = (slot ^ <i32>load<u8>(at + j)) * 0x01000193;
      slot = (slot ^ (slot >>> 15)) & mask;
      for (;;) {
        const row = slots[slot] - 1;
        if (row < 0) {
          slots[slot] = i + 1;
          out[i] = next++;
          break;
        }
        if (this.bytes(row) == size && memory.compare(this.start(row), at, size) == 0) {
          out[i] = out[row];
          break;
        }
        slot = (slot + 1) & mask;
      }
    }
    return out;
  }

  /** The value of a constant utf8 column: a class name, a string parameter. */
  constant(): string { return String.UTF8.decodeUnsafe(this.data, this.size); }
}

/** The table at ptr, as the host encoded it. */
export class Table {
  constructor(private ptr: usize) {
    if (load<u32>(ptr) != TABLE_MAGIC || load<u32>(ptr, 4) != 1) unreachable();
  }

  get rows(): i32 { return load<i32>(this.ptr, 8); }

  columns(role: u32, arm: u32): Column[] {
    const out: Column[] = [];
    const n = load<i32>(this.ptr, 12);
    for (let i = 0; i < n; i++) {
      const c = new Column(this.ptr, this.ptr + 16 + 32 * i);
      if (c.role == role && c.arm == arm) out.push(c);
    }
    return out;
  }

  column(role: u32, arm: u32): Column | null {
    const all = this.columns(role, arm);
    return all.length > 0 ? all[0] : null;
  }

  named(role: u32, name: string, arm: u32): Column | null {
    const all = this.columns(role, arm);
    for (let i = 0; i < all.length; i++) if (all[i].name == name) return all[i];
    return null;
  }

  /** Class names; class id i is the i-th. */
  classes(): string[] {
    const all = this.columns(Role.Class, Arm.Shared);
    const out: string[] = [];
    for (let i = 0; i < all.length; i++) out.push(all[i].constant());
    return out;
  }

  /** Names of the arms, in version 1.1; arm i + 1 is the i-th. */
  arms(): string[] {
    const out: string[] = [];
    let c = this.column(Role.ArmName, 1);
    while (c) {
      out.push(c.constant());
      c = this.column(Role.ArmName, out.length + 1);
    }
    return out;
  }

  /** A parameter; the host sends every one the description names. */
  parameter(name: string): Column { return this.named(Role.Parameter, name, Arm.Shared)!; }

  number(name: string): f64 { return this.parameter(name).f64(0); }
  integer(name: string): i64 { return this.parameter(name).i64(0); }
  boolean(name: string): bool { return this.parameter(name).i32(0) != 0; }
  string(name: string): string { return this.parameter(name).constant(); }

  /** A parameter of type numbers. */
  numbers(name: string): f64[] {
    const c = this.parameter(name);
    const out: f64[] = [];
    for (let i = 0; i < c.size >> 3; i++) out.push(c.f64(i));
    return out;
  }
}

/** Results; a value that is NaN or infinite is sent as undefined. */
export class Results {
  private kinds: u32[] = [];
  private names: string[] = [];
  private values: f64[][] = [];
  private named: string[][] = [];

  scalar(name: string, v: f64): void { this.add(1, name, [v]); }
  vector(name: string, v: f64[]): void { this.add(2, name, v); }
  /** One value a row of the table. */
  column(name: string, v: f64[]): void { this.add(3, name, v); }

  /** Of version 1.1: a value and its interval. */
  interval(name: string, v: f64, low: f64, high: f64): void { this.add(4, name, [v, low, high]); }
  /** Of version 1.1: one value for each of the groups, whose names are all different. */
  groups(name: string, groups: string[], v: f64[]): void { this.add(5, name, v, groups); }
  /** Of version 1.1: value, low and high of the first group, and so on. */
  groupIntervals(name: string, groups: string[], v: f64[]): void { this.add(6, name, v, groups); }

  private add(kind: u32, name: string, v: f64[], groups: string[] = []): void {
    this.named.push(groups);
    this.kinds.push(kind);
    this.names.push(name);
    this.values.push(v);
  }

  /** The block of results, packed as metric_eval returns it. */
  block(): u64 {
    const n = this.names.length;
    let size = 16 + 32 * n;
    for (let i = 0; i < n; i++) {
      const m = this.values[i].length;
      size += String.UTF8.byteLength(this.names[i]) + 8 * m + ((m + 7) >> 3) + 4;
      for (let j = 0; j < this.named[i].length; j++) size += 4 + String.UTF8.byteLength(this.named[i][j]);
    }
    const b = header(size, 0, n);
    let end = 16 + 32 * n;
    for (let i = 0; i < n; i++) {
      const record = b + 16 + 32 * i;
      const name = String.UTF8.encode(this.names[i]);
      const v = this.values[i];
      memory.copy(b + end, changetype<usize>(name), name.byteLength);
      store<u32>(record, this.kinds[i]);
      store<u32>(record, 3, 4);
      store<u32>(record, end, 8);
      store<u32>(record, name.byteLength, 12);
      end += name.byteLength;
      store<u32>(record, end, 16);
      store<u32>(record, 8 * v.length, 20);
      const validity = end + 8 * v.length;
      memory.fill(b + validity, 0, (v.length + 7) >> 3);
      let all = true;
      for (let j = 0; j < v.length; j++) {
        const ok = isFinite(v[j]);
        store<f64>(b + end + 8 * j, ok ? v[j] : 0);
        const at = b + validity + (j >> 3);
        if (ok) store<u8>(at, load<u8>(at) | (<u8>1 << <u8>(j & 7)));
        else all = false;
      }
      store<u32>(record, all ? 0 : validity, 24);
      store<u32>(record, 0, 28);
      end = all ? validity : validity + ((v.length + 7) >> 3);
      if (this.kinds[i] < 5) continue;
      store<u32>(record, end, 28);
      const offsets = b + end; // where each name begins and the last ends, then their bytes
      const names = this.named[i];
      const bytes = offsets + 4 * (names.length + 1);
      let length = 0;
      store<u32>(offsets, 0);
      for (let j = 0; j < names.length; j++) {
        const text = String.UTF8.encode(names[j]);
        memory.copy(bytes + length, changetype<usize>(text), text.byteLength);
        length += text.byteLength;
        store<u32>(offsets + 4 * (j + 1), length);
      }
      end += 4 * (names.length + 1) + length;
    }
    return pack(b, end);
  }
}

/** An error text, packed as metric_eval returns it. */
export function failed(text: string): u64 {
  const t = String.UTF8.encode(text);
  const b = header(16 + t.byteLength, 1, t.byteLength);
  memory.copy(b + 16, changetype<usize>(t), t.byteLength);
  return pack(b, 16 + t.byteLength);
}

/** A text, packed as metric_describe returns it. */
export function packText(text: string): u64 {
  const t = String.UTF8.encode(text);
  return pack(changetype<usize>(t), t.byteLength);
}

function header(size: i32, status: u32, n: i32): usize {
  const b = heap.alloc(size);
  store<u32>(b, RESULT_MAGIC);
  store<u32>(b, 1, 4);
  store<u32>(b, status, 8);
  store<u32>(b, n, 12);
  return b;
}

function pack(ptr: usize, size: i32): u64 {
  return ((<u64>ptr) << 32) | (<u64>size);
}
