// Text as code points and tokens, for metrics that compare texts. Buffers are
// kept and reused, for memory is never given back.

/** Unicode's White_Space. */
export function isSpace(c: u32): bool {
  if (c <= 0x20) return c == 0x20 || (c >= 9 && c <= 13);
  if (c < 0x1680) return c == 0x85 || c == 0xa0;
  return c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
    c == 0x202f || c == 0x205f || c == 0x3000;
}

/** A growing list of numbers whose memory is used again after clear. */
export class Sequence {
  private items: StaticArray<u32> = new StaticArray<u32>(64);
  length: i32 = 0;

  clear(): void { this.length = 0; }

  push(v: u32): void {
    if (this.length == this.items.length) {
      const larger = new StaticArray<u32>(2 * this.length);
      memory.copy(changetype<usize>(larger), changetype<usize>(this.items), <usize>this.length << 2);
      this.items = larger;
    }
    unchecked(this.items[this.length] = v);
    this.length++;
  }

  /** Item i, which must be below length. */
  @inline
  at(i: i32): u32 { return unchecked(this.items[i]); }

  @inline
  set(i: i32, v: u32): void { unchecked(this.items[i] = v); }
}

/**
 * Numbers pairs from 1 in order of first appearance, exactly: a text is told
 * apart by folding its code points, id = id(id, next), from 0.
 */
export class Pairs {
  private keys: StaticArray<u64> = new StaticArray<u64>(256);
  private numbers: StaticArray<u32> = new StaticArray<u32>(256);
  private seen: StaticArray<u32> = new StaticArray<u32>(256); // the generation that filled the slot
  private generation: u32 = 0;
  private next: u32 = 1;

  /** Forgets every pair and makes room for n. */
  reset(n: i32): void {
    let size = this.keys.length;
    while (size < 2 * n) size *= 2;
    if (size > this.keys.length) {
      this.keys = new StaticArray<u64>(size);
      this.numbers = new StaticArray<u32>(size);
      this.seen = new StaticArray<u32>(size);
      this.generation = 0;
    }
    this.generation++;
    this.next = 1;
  }

  id(before: u32, after: u32): u32 {
    const key = (<u64>before << 32) | <u64>after;
    const mask = this.keys.length - 1;
    let slot = <i32>((key * 0x9e3779b97f4a7c15) >> 33) & mask;
    while (unchecked(this.seen[slot]) == this.generation) {
      if (unchecked(this.keys[slot]) == key) return unchecked(this.numbers[slot]);
      slot = (slot + 1) & mask;
    }
    unchecked(this.seen[slot] = this.generation);
    unchecked(this.keys[slot] = key);
    unchecked(this.numbers[slot] = this.next);
    return this.next++;
  }
}

/** The code point at a place in UTF-8, which the host has checked. */
export function codePoint(at: usize): u32 {
  const a = <u32>load<u8>(at);
  if (a < 0x80) return a;
  const b = <u32>load<u8>(at, 1) & 63;
  if (a < 0xe0) return ((a & 31) << 6) | b;
  const c = <u32>load<u8>(at, 2) & 63;
  if (a < 0xf0) return ((a & 15) << 12) | (b << 6) | c;
  return ((a & 7) << 18) | (b << 12) | (c << 6) | (<u32>load<u8>(at, 3) & 63);
}

/** How many bytes a code point has in UTF-8. */
export function width(c: u32): i32 {
  return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

/** Fills out with the code points of size bytes, white space left out. */
export function characters(at: usize, size: i32, out: Sequence): void {
  out.clear();
  const end = at + size;
  while (at < end) {
    const c = codePoint(at);
    at += width(c);
    if (!isSpace(c)) out.push(c);
  }
}

/** Fills out with a number for each word, words being what white space parts. */
export function words(at: usize, size: i32, pairs: Pairs, out: Sequence): void {
  out.clear();
  const end = at + size;
  let word: u32 = 0;
  while (at < end) {
    const c = codePoint(at);
    at += width(c);
    if (!isSpace(c)) {
      word = pairs.id(word, c);
    } else if (word != 0) {
      out.push(word);
      word = 0;
    }
  }
  if (word != 0) out.push(word);
}
