// Attention for a few queries over many keys, as a key-value cache has: a block takes a query, the
// heads that share a key head, up to four or eight of them, and CHUNK keys of the query's range. What it leaves,
// the largest score, the sum of weights and the weighted sum of values, decode_combine puts together
// in order. Chunks are counted from the start of the range: a result does not depend on what else is
// in the cache. Bound by reading keys and values once, in any storage type and for heads of up to 256.
#include "tensor.h"

static const int CHUNK = 128, THREADS = 128, WARPS = THREADS / 32, BATCH = 4;

extern SHARED __attribute__((aligned(16))) float memory[];

// Share is what a block of either kernel takes.
struct Share {
  int query, head, heads, keyHead, start, count; // heads from `head`; keys from `start`
  i64 slot;                                      // of the first head in what is left for decode_combine
};

template <int HEADS> DEVICE Share share(const int *lo, const int *hi, const int *offsets, const Shape &n) {
  int group = n.heads / n.keyHeads, parts = (group + HEADS - 1) / HEADS, part = blockX() % parts, low, high;
  Share s;
  s.query = blockX() / parts / n.keyHeads;
  s.keyHead = blockX() / parts % n.keyHeads;
  s.head = s.keyHead * group + part * HEADS;
  s.heads = least(HEADS, group - part * HEADS);
  range(s.query, lo, hi, n, &low, &high);
  s.start = low + blockY() * CHUNK;
  s.count = least(CHUNK, high - s.start);
  s.slot = (i64)(offsets[s.query] + blockY()) * n.heads + s.head;
  return s;
}

template <class S>
DEVICE void decode(float *sums, f2 *states, const S *q, const S *k, const S *v, const int *lo, const int *hi,
                   const int *offsets, Shape n) {
  const int HEADS = 4;
  Share mine = share<HEADS>(lo, hi, offsets, n);
  int t = mine.query, start = mine.start, count = mine.count, head = mine.head, heads = mine.heads, keyHead = mine.keyHead;
  i64 slot = mine.slot;
  if (count <= 0) return;

  int lanes = 1; // to a key, each with eight elements
  while (lanes * 8 < n.dim) lanes *= 2;
  int column = lane() % lanes * 8, left = most(0, n.dim - column), perWarp = 32 / lanes, first = warp() * perWarp + lane() / lanes;
  bool whole = left >= 8 && n.dim % 8 == 0 && aligned(k) && aligned(v);
  i64 row = (i64)n.keyHeads * n.dim;
  const S *keys = k + start * row + (i64)keyHead * n.dim + column, *values = v + start * row + (i64)keyHead * n.dim + column;
  float *weights = memory, *partial = memory + CHUNK * HEADS; // [key][head]; [warp][head][lanes·8]

  float w[HEADS][8];
  UNROLL for (int g = 0; g < HEADS; g++) {
    Floats<8> x = part<8>(q + ((i64)t * n.heads + head + least(g, heads - 1)) * n.dim + column, left, false);
    UNROLL for (int e = 0; e < 8; e++) w[g][e] = x.at[e] * n.scale;
  }
  for (int from = first; from - lane() / lanes < count; from += BATCH * WARPS * perWarp) { // the same for a warp
    Floats<8> x[BATCH];
    UNROLL for (int b = 0; b < BATCH; b++) x[b] = part<8>(keys + least(from + b * WARPS * perWarp, count - 1) * row, left, whole);
    UNROLL for (int b = 0; b < BATCH; b++) {
      int key = from + b * WARPS * perWarp;
      float dots[HEADS];
      UNROLL for (int g = 0; g < HEADS; g++) {
        dots[g] = 0.0f;
        if (g < heads) UNROLL for (int e = 0; e < 8; e++) dots[g] = __builtin_fmaf(w[g][e], x[b].at[e], dots[g]);
      }
      _Pragma("nounroll") for (int mask = lanes / 2; mask > 0; mask >>= 1)
          UNROLL for (int g = 0; g < HEADS; g++) if (g < heads) dots[g] += exchange(dots[g], mask);
      if (lane() % lanes != 0 || key >= CHUNK) continue;
      UNROLL for (int g = 0; g < HEADS; g += 4) *(f4 *)(weights + key * HEADS + g) = (f4){dots[g], dots[g + 1], dots[g + 2], dots[g + 3]};
    }
  }
  __syncthreads();
  for (int g = warp(); g < heads; g += WARPS) {
    float top = minusInfinity(), sum = 0.0f;
    for (int key = lane(); key < count; key += 32) top = __builtin_fmaxf(top, weights[key * HEADS + g]);
    UNROLL for (int mask = 16; mask > 0; mask >>= 1) top = __builtin_fmaxf(top, exchange(top, mask));
    for (int key = lane(); key < CHUNK; key += 32) {
      float p = key < count ? exponential(weights[key * HEADS + g] - top) : 0.0f;
      weights[key * HEADS + g] = p;
      sum += p;
    }
    UNROLL for (int mask = 16; mask > 0; mask >>= 1) sum += exchange(sum, mask);
    if (lane() == 0) states[slot + g] = (f2){top, sum};
  }
  __syncthreads();

  float o[HEADS][8];
  UNROLL for (int g = 0; g < HEADS; g++) UNROLL for (int e = 0; e < 8; e++) o[g][e] = 0.0f;
  for (int from = first; from < count; from += BATCH * WARPS * perWarp) {
    Floats<8> x[BATCH];
    UNROLL for (int b = 0; b < BATCH; b++) x[b] = part<8>(values + least(from + b * WARPS * perWarp, count - 1) * row, left, whole);
    UNROLL for (int b = 0; b < BATCH; b++) {
      int key = from + b * WARPS * perWarp;
      if (key >= count) continue;
      UNROLL for (int g = 0; g < HEADS; g++) if (g < heads) {
        float p = weights[key * HEADS + g];
        UNROLL for (int e = 0; e < 8; e++) o[g][e] = __builtin_fmaf(p, x[b].at[e], o[g][e]);
      }
    }
  }
  UNROLL for (int g = 0; g < HEADS; g++) if (g < heads) {
    _Pragma("nounroll") for (int mask = lanes; mask < 32; mask *= 2)
        UNROLL for (int e = 0; e < 8; e++) o[g][e] += exchange(o[g][e], mask);
    if (lane() < lanes) UNROLL for (int e = 0; e < 8; e++) partial[(warp() * heads + g) * lanes * 8 + column + e] = o[g][e];
  }
  __syncthreads();
  for (int i = thread(); i < heads * n.dim; i += THREADS) {
    int g = i / n.dim, d = i % n.dim;
    float sum = 0.0f;
    UNROLL for (int from = 0; from < WARPS; from++) sum += partial[(from * heads + g) * lanes * 8 + d];
    sums[(slot + g) * n.dim + d] = sum;
  }
}

// tensor_decode is decode on tensor cores, over 16-bit storage where 16 bytes may be read at once. A warp
// takes 32 keys; the rows of its products are heads. Lanes read operands as they lie: the dimensions of
// a product, and the columns of the next, are taken in the order that gives.
template <class S, int D>
DEVICE void tensor_decode(float *sums, f2 *states, const S *q, const S *k, const S *v, const int *lo, const int *hi,
                          const int *offsets, Shape n) {
  const int HEADS = 8;
  SHARED static float tops[WARPS][HEADS], totals[WARPS][HEADS];
  const int C = D / 32;
  Share mine = share<HEADS>(lo, hi, offsets, n);
  if (mine.count <= 0) return;
  int row = lane() / 4, part = lane() % 4, first = warp() * 32; // row: head or key
  i64 keyRow = (i64)n.keyHeads * n.dim, at = mine.start * keyRow + (i64)mine.keyHead * n.dim;
  words4 none = {0, 0, 0, 0}, Q[C], K[4][C];
  UNROLL for (int i = 0; i < 4; i++) {
    const S *from = k + at + least(first + 8 * i + row, mine.count - 1) * keyRow + 8 * part;
    UNROLL for (int c = 0; c < C; c++) K[i][c] = 32 * c + 8 * part < n.dim ? *(const words4 *)(from + 32 * c) : none;
  }
  UNROLL for (int c = 0; c < C; c++) {
    bool in = row < mine.heads && 32 * c + 8 * part < n.dim;
    Q[c] = in ? *(const words4 *)(q + ((i64)mine.query * n.heads + mine.head + row) * n.dim + 32 * c + 8 * part) : none;
  }
  float s[4][4], top = minusInfinity(), total = 0.0f;
  UNROLL for (int i = 0; i < 4; i++) {
    UNROLL for (int e = 0; e < 4; e++) s[i][e] = 0.0f;
    UNROLL for (int c = 0; c < C; c++) {
      u32 a[4] = {Q[c].x, 0, Q[c].y, 0}, b[4] = {Q[c].z, 0, Q[c].w, 0};
      multiply<S>(s[i], a, K[i][c].x, K[i][c].y);
      multiply<S>(s[i], b, K[i][c].z, K[i][c].w);
    }
    UNROLL for (int e = 0; e < 2; e++) {
      s[i][e] = first + 8 * i + 2 * part + e < mine.count ? s[i][e] * n.scale : minusInfinity();
      top = __builtin_fmaxf(top, s[i][e]);
    }
  }
  top = rowMost(top);
  float shift = top == minusInfinity() ? 0.0f : top * log2e;
  UNROLL for (int i = 0; i < 4; i++) UNROLL for (int e = 0; e < 2; e++) {
    s[i][e] = power2(__builtin_fmaf(s[i][e], log2e, -shift));
    total += s[i][e];
  }
  total = rowSum(total);
  if (part == 0) {
    tops[warp()][row] = top;
    totals[warp()][row] = total;
  }

  float o[D / 64][8][4]; // columns 64·j + 8·(2·part) + m and 64·j + 8·(2·part + 1) + m
  UNROLL for (int j = 0; j < D / 64; j++) UNROLL for (int m = 0; m < 8; m++) UNROLL for (int e = 0; e < 4; e++) o[j][m][e] = 0.0f;
  UNROLL for (int i = 0; i < 2; i++) {
    u32 p[4] = {join<S>(s[2 * i][0], s[2 * i][1]), 0, join<S>(s[2 * i + 1][0], s[2 * i + 1][1]), 0};
    words4 V[D / 64][4];
    UNROLL for (int r = 0; r < 4; r++) {
      int key = least(first + 16 * i + 2 * part + r / 2 * 8 + r % 2, mine.count - 1);
      UNROLL for (int j = 0; j < D / 64; j++)
          V[j][r] = 64 * j + 8 * row < n.dim ? *(const words4 *)(v + at + key * keyRow + 64 * j + 8 * row) : none;
    }
    UNROLL for (int j = 0; j < D / 64; j++) UNROLL for (int m = 0; m < 8; m++) {
      u32 halves = m % 2 ? 0x7632 : 0x5410;
      multiply<S>(o[j][m], p, __nvvm_prmt(V[j][0][m / 2], V[j][1][m / 2], halves), __nvvm_prmt(V[j][2][m / 2], V[j][3][m / 2], halves));
    }
  }
  UNROLL for (int j = 0; j < D / 64; j++) UNROLL for (int e = 0; e < 2; e++) {
    float *to = memory + (warp() * HEADS + row) * D + 64 * j + 8 * (2 * part + e);
    UNROLL for (int m = 0; m < 8; m += 4) *(f4 *)(to + m) = (f4){o[j][m][e], o[j][m + 1][e], o[j][m + 2][e], o[j][m + 3][e]};
  }
  __syncthreads();
  for (int g = 0; g < mine.heads; g++) {
    float most = tops[0][g], all = 0.0f, factors[WARPS]; // the first warp has keys
    UNROLL for (int w = 1; w < WARPS; w++) most = __builtin_fmaxf(most, tops[w][g]);
    UNROLL for (int w = 0; w < WARPS; w++) {
      factors[w] = tops[w][g] == minusInfinity() ? 0.0f : power2((tops[w][g] - most) * log2e);
      all = __builtin_fmaf(totals[w][g], factors[w], all);
    }
    if (thread() == 0) states[mine.slot + g] = (f2){most, all};
    for (int d = thread(); d < n.dim; d += THREADS) {
      float sum = 0.0f;
      UNROLL for (int w = 0; w < WARPS; w++) sum = __builtin_fmaf(memory[(w * HEADS + g) * D + d], factors[w], sum);
      sums[(mine.slot + g) * n.dim + d] = sum;
    }
  }
}

// decode_combine: a block of eight warps puts the chunks of a query and head together; each warp sums
// every eighth.
template <class S>
DEVICE void decode_combine(S *dst, const float *sums, const f2 *states, const int *lo, const int *hi, const int *offsets, Shape n) {
  SHARED static float scratch[32], partial[8][256];
  int t = blockX() / n.heads, head = blockX() % n.heads, low, high;
  range(t, lo, hi, n, &low, &high);
  int chunks = high > low ? (high - low + CHUNK - 1) / CHUNK : 0;
  i64 slot = (i64)offsets[t] * n.heads + head;
  float top = minusInfinity(), total = 0.0f;
  for (int i = thread(); i < chunks; i += threads()) top = __builtin_fmaxf(top, states[slot + (i64)i * n.heads].x);
  top = blockMost(top, scratch);
  float o[8];
  UNROLL for (int j = 0; j < 8; j++) o[j] = 0.0f;
  _Pragma("unroll 2") for (int i = warp(); i < chunks; i += 8) {
    i64 at = slot + (i64)i * n.heads;
    f2 state = states[at];
    float factor = exponential(state.x - top);
    total = __builtin_fmaf(state.y, factor, total);
    UNROLL for (int j = 0; j < 8; j++) {
      int d = lane() + 32 * j;
      if (d < n.dim) o[j] = __builtin_fmaf(sums[at * n.dim + d], factor, o[j]);
    }
  }
  UNROLL for (int j = 0; j < 8; j++) partial[warp()][lane() + 32 * j] = o[j];
  if (lane() == 0) scratch[warp()] = total;
  __syncthreads();
  for (int d = thread(); d < n.dim; d += threads()) {
    float sum = 0.0f, all = 0.0f;
    UNROLL for (int w = 0; w < 8; w++) {
      sum += partial[w][d];
      all += scratch[w];
    }
    dst[((i64)t * n.heads + head) * n.dim + d] = (S)(all == 0.0f ? 0.0f : sum / all);
  }
}

STORED(decode_combine, (S *dst, const float *sums, const f2 *states, const int *lo, const int *hi, const int *offsets, SHAPE_ARGUMENTS),
       (dst, sums, states, lo, hi, offsets, SHAPE))

#define DECODE_PARAMETERS                                                                                              \
  (float *sums, f2 *states, const S *q, const S *k, const S *v, const int *lo, const int *hi, const int *offsets, SHAPE_ARGUMENTS)
#define TENSOR_DECODE(type, D)                                                                                         \
  namespace of_##type { KERNEL void BOUNDS(128) tensor_decode_##type##_##D DECODE_PARAMETERS {                         \
    ::tensor_decode<S, D>(sums, states, q, k, v, lo, hi, offsets, SHAPE);                                              \
  } }
STORED(decode, DECODE_PARAMETERS, (sums, states, q, k, v, lo, hi, offsets, SHAPE))
TENSOR_DECODE(bf16, 128)
TENSOR_DECODE(bf16, 256)
TENSOR_DECODE(f16, 128)
TENSOR_DECODE(f16, 256)
