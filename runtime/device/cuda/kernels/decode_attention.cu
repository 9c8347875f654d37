// Attention for a few queries over many keys, as a key-value cache has: a block takes a query, the
// heads that share a key head (up to eight), and CHUNK keys of the query's range. What it leaves,
// the largest score, the sum of weights and the weighted sum of values, decode_combine puts together
// in order. Chunks are counted from the start of the range: a result does not depend on what else is
// in the cache. Bound by reading keys and values once, in any storage type and for heads of up to 256.
#include "attention.h"
#include "storage.h"

static const int CHUNK = 128, HEADS = 8, THREADS = 128, WARPS = THREADS / 32, BATCH = 4;

typedef float f2 __attribute__((ext_vector_type(2)));

extern SHARED __attribute__((aligned(16))) float memory[];

DEVICE int lane() { return thread() % 32; }
DEVICE int warp() { return thread() / 32; }

// The key range of a query under the window.
DEVICE void range(int t, const int *lo, const int *hi, const Shape &n, int *low, int *high) {
  *high = hi[t];
  *low = n.window > 0 ? most(lo[t], *high - n.window) : lo[t];
}

template <class S>
DEVICE void decode(float *sums, f2 *states, const S *q, const S *k, const S *v, const int *lo, const int *hi,
                   const int *offsets, Shape n) {
  int group = n.heads / n.keyHeads, parts = (group + HEADS - 1) / HEADS;
  int part8 = blockX() % parts, keyHead = blockX() / parts % n.keyHeads, t = blockX() / parts / n.keyHeads;
  int low, high;
  range(t, lo, hi, n, &low, &high);
  int start = low + blockY() * CHUNK, count = least(CHUNK, high - start);
  if (count <= 0) return;
  int heads = least(HEADS, group - part8 * HEADS), head = keyHead * group + part8 * HEADS;
  i64 slot = (i64)(offsets[t] + blockY()) * n.heads + head;

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

#define SHAPE_ARGUMENTS int queries, int keys, int heads, int keyHeads, int dim, int window, float scale
#define SHAPE ((Shape){queries, keys, heads, keyHeads, dim, window, scale})

STORED(decode, (float *sums, f2 *states, const S *q, const S *k, const S *v, const int *lo, const int *hi, const int *offsets, SHAPE_ARGUMENTS),
       (sums, states, q, k, v, lo, hi, offsets, SHAPE))

STORED(decode_combine, (S *dst, const float *sums, const f2 *states, const int *lo, const int *hi, const int *offsets, SHAPE_ARGUMENTS),
       (dst, sums, states, lo, hi, offsets, SHAPE))
