// Headers of model files: what tensors and facts are in them, read from their first bytes. Formats:
// https://huggingface.co/docs/safetensors and https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.

export interface Tensor {
  name: string;
  type: string;
  shape: number[];
}

export interface Header {
  tensors: Tensor[];
  facts: Record<string, string>;
}

/** More bytes of the file are wanted; what is there is not all of the header. */
export class Short extends Error {
  readonly wanted: number;
  constructor(wanted: number) {
    super(`the header has ${wanted} bytes`);
    this.wanted = wanted;
  }
}

const mostHeader = 128 << 20; // bytes
const mostItems = 200_000;

export function safetensors(bytes: Uint8Array): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 8) throw new Error('not safetensors: fewer than 8 bytes');
  const length = Number(view.getBigUint64(0, true));
  if (length > mostHeader) throw new Error(`not safetensors: a header of ${length} bytes`);
  if (bytes.length < 8 + length) throw new Short(8 + length);
  const json = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Record<string, unknown>;
  const { __metadata__: meta, ...rest } = json;
  return {
    facts: Object.fromEntries(Object.entries((meta as Record<string, unknown> | undefined) ?? {}).map(([k, v]) => [k, String(v)])),
    tensors: Object.entries(rest).map(([name, t]) => {
      const { dtype, shape } = t as { dtype?: unknown; shape?: unknown };
      return { name, type: String(dtype), shape: Array.isArray(shape) ? shape.map(Number) : [] };
    }),
  };
}

const ggmlTypes: Record<number, string> = {
  0: 'F32', 1: 'F16', 2: 'Q4_0', 3: 'Q4_1', 6: 'Q5_0', 7: 'Q5_1', 8: 'Q8_0', 9: 'Q8_1', 10: 'Q2_K', 11: 'Q3_K', 12: 'Q4_K', 13: 'Q5_K',
  14: 'Q6_K', 15: 'Q8_K', 24: 'I8', 25: 'I16', 26: 'I32', 27: 'I64', 28: 'F64', 30: 'BF16',
};

export function gguf(bytes: Uint8Array): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const take = (n: number): number => {
    if (n < 0 || n > mostHeader) throw new Error(`not GGUF: a length of ${n} bytes at ${at}`);
    if (at + n > bytes.length) throw new Short(Math.max(at + n, bytes.length * 2));
    at += n;
    return at - n;
  };
  const u32 = () => view.getUint32(take(4), true);
  const u64 = () => Number(view.getBigUint64(take(8), true));
  const text = () => {
    const n = u64();
    const from = take(n);
    return new TextDecoder().decode(bytes.subarray(from, from + n));
  };
  const value = (type: number): string => {
    switch (type) {
      case 0: return String(view.getUint8(take(1)));
      case 1: return String(view.getInt8(take(1)));
      case 2: return String(view.getUint16(take(2), true));
      case 3: return String(view.getInt16(take(2), true));
      case 4: return String(u32());
      case 5: return String(view.getInt32(take(4), true));
      case 6: return String(view.getFloat32(take(4), true));
      case 7: return String(view.getUint8(take(1)) !== 0);
      case 8: return text();
      case 9: {
        const inner = u32();
        const n = u64();
        if (inner === 9) throw new Error('not GGUF: a list of lists');
        const first: string[] = [];
        for (let i = 0; i < n; i++) {
          const v = value(inner);
          if (i < 8) first.push(v);
        }
        return `[${first.join(', ')}${n > 8 ? `, … ${n}` : ''}]`;
      }
      case 10: return String(view.getBigUint64(take(8), true));
      case 11: return String(view.getBigInt64(take(8), true));
      case 12: return String(view.getFloat64(take(8), true));
      default: throw new Error(`not GGUF: a value of type ${type}`);
    }
  };
  if (u32() !== 0x46554747) throw new Error('not GGUF: it does not begin with GGUF');
  const version = u32();
  if (version < 2 || version > 3) throw new Error(`GGUF of version ${version}: 2 and 3 are read`);
  const tensors = u64();
  const pairs = u64();
  if (tensors > mostItems || pairs > mostItems) throw new Error(`not GGUF: ${tensors} tensors, ${pairs} facts`);
  const out: Header = { tensors: [], facts: {} };
  for (let i = 0; i < pairs; i++) {
    const key = text();
    out.facts[key] = value(u32());
  }
  for (let i = 0; i < tensors; i++) {
    const name = text();
    const dimensions = u32();
    if (dimensions > 8) throw new Error(`not GGUF: ${name} has ${dimensions} dimensions`);
    const shape = Array.from({ length: dimensions }, u64).reverse(); // the file has the fastest first
    const type = u32();
    u64(); // where its data begins
    out.tensors.push({ name, shape, type: ggmlTypes[type] ?? `type ${type}` });
  }
  return out;
}

/** Number of values of a tensor. */
export const size = (t: Tensor): number => t.shape.reduce((n, d) => n * d, 1);
