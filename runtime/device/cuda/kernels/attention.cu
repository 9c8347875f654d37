// Attention over key ranges with an online softmax (Dao et al., FlashAttention, 2022), float32.
//
// A block of 256 threads, seen as 16×16 (y, x), works on tiles of B queries by B keys; heads are
// padded with zeros to D. Thread (y, x) owns the rows y+16i of a tile and, of scores, the columns
// x+16j; of heads, the columns 4x+64g…4x+64g+3. The full score matrix exists nowhere. Each result
// element is summed by one thread in a fixed order.
#include "attention.h"

extern SHARED __attribute__((aligned(16))) float memory[];

DEVICE int x16() { return thread() % 16; }
DEVICE int y16() { return thread() / 16; }

// A tile of B rows of D, each with 4 floats of padding so that 16-byte reads down a column meet no
// bank twice.
template <int D> struct Tile {
  static const int stride = D + 4;
};

template <int B, int D> DEVICE int tileSize() { return B * Tile<D>::stride; }
template <int B> DEVICE int weightStride() { return B + 4; }

// load copies rows from..from+B of one head into a tile, zeros past `to` and past dim; from < to.
// Four reads are under way before the first is used; those outside are made inside and dropped.
template <int B, int D>
DEVICE void load(float *tile, const float *src, int from, int to, int rowStride, int head, int dim) {
  const float *base = src + (i64)from * rowStride + (i64)head * dim;
  int rows = to - from;
  if (((u64)base & 15) == 0 && dim % 4 == 0 && rowStride % 4 == 0) {
    const int rowStep = 1024 / D, batch = 4; // rows between two reads of a thread
    int row = thread() / (D / 4), c = thread() % (D / 4) * 4;
    const float *column = base + (c < dim ? c : 0);
    _Pragma("nounroll") for (int start = row; start < B; start += batch * rowStep) {
      f4 v[batch], none = {0.0f, 0.0f, 0.0f, 0.0f};
      UNROLL for (int i = 0; i < batch; i++) v[i] = *(const f4 *)(column + (i64)least(start + i * rowStep, rows - 1) * rowStride);
      UNROLL for (int i = 0; i < batch; i++) {
        int r = start + i * rowStep;
        *(f4 *)(tile + r * Tile<D>::stride + c) = r < rows && c < dim ? v[i] : none;
      }
    }
    return;
  }
  _Pragma("nounroll") for (int i = thread(); i < B * D; i += 256) {
    int r = i / D, c = i % D;
    tile[r * Tile<D>::stride + c] = r < rows && c < dim ? base[(i64)r * rowStride + c] : 0.0f;
  }
}

// s = a·bᵀ over two tiles.
template <int B, int D> DEVICE void dots(float (&s)[B / 16][B / 16], const float *a, const float *b) {
  const int R = B / 16;
  UNROLL for (int i = 0; i < R; i++) UNROLL for (int j = 0; j < R; j++) s[i][j] = 0.0f;
  const float *pa = a + y16() * Tile<D>::stride, *pb = b + x16() * Tile<D>::stride;
  _Pragma("unroll 2") for (int d = 0; d < D; d += 4) {
    f4 u[R], w[R];
    UNROLL for (int i = 0; i < R; i++) u[i] = *(const f4 *)(pa + 16 * i * Tile<D>::stride + d);
    UNROLL for (int j = 0; j < R; j++) w[j] = *(const f4 *)(pb + 16 * j * Tile<D>::stride + d);
    UNROLL for (int i = 0; i < R; i++) UNROLL for (int j = 0; j < R; j++) UNROLL for (int e = 0; e < 4; e++)
        s[i][j] = __builtin_fmaf(u[i][e], w[j][e], s[i][j]);
  }
}

// o += w·m, where w is a tile of weights and m a tile of heads.
template <int B, int D> DEVICE void gatherRows(f4 (&o)[B / 16][D / 64], const float *w, const float *m) {
  const int R = B / 16, G = D / 64;
  const float *pw = w + y16() * weightStride<B>(), *pm = m + 4 * x16();
  _Pragma("nounroll") for (int k = 0; k < B; k += 4) {
    f4 u[R];
    UNROLL for (int i = 0; i < R; i++) u[i] = *(const f4 *)(pw + 16 * i * weightStride<B>() + k);
    UNROLL for (int e = 0; e < 4; e++) UNROLL for (int g = 0; g < G; g++) {
      f4 v = *(const f4 *)(pm + (k + e) * Tile<D>::stride + 64 * g);
      UNROLL for (int i = 0; i < R; i++) UNROLL for (int c = 0; c < 4; c++)
          o[i][g][c] = __builtin_fmaf(u[i][e], v[c], o[i][g][c]);
    }
  }
}

// store writes the rows from y+16i of one head.
template <int B, int D>
DEVICE void store(float *dst, f4 (&o)[B / 16][D / 64], int from, int to, int rowStride, int head, int dim) {
  UNROLL for (int i = 0; i < B / 16; i++) {
    int t = from + y16() + 16 * i;
    if (t >= to) continue;
    float *row = dst + (i64)t * rowStride + (i64)head * dim;
    UNROLL for (int g = 0; g < D / 64; g++) UNROLL for (int c = 0; c < 4; c++) {
      int column = 4 * x16() + 64 * g + c;
      if (column < dim) row[column] = o[i][g][c];
    }
  }
}

template <int B> DEVICE void storeWeights(float *w, float (&s)[B / 16][B / 16]) {
  UNROLL for (int i = 0; i < B / 16; i++) UNROLL for (int j = 0; j < B / 16; j++)
      w[(y16() + 16 * i) * weightStride<B>() + x16() + 16 * j] = s[i][j];
}

DEVICE float rowMost(float v) {
  UNROLL for (int mask = 8; mask > 0; mask >>= 1) v = __builtin_fmaxf(v, exchange(v, mask));
  return v;
}

DEVICE float rowSum(float v) {
  UNROLL for (int mask = 8; mask > 0; mask >>= 1) v += exchange(v, mask);
  return v;
}

// maskScores scales the scores, marks those outside their query's range with `inside` clear, and
// gives each row's largest.
template <int B>
DEVICE void maskScores(float (&s)[B / 16][B / 16], bool (&inside)[B / 16][B / 16], float (&top)[B / 16],
                       const int *low, const int *high, int key, float scale) {
  UNROLL for (int i = 0; i < B / 16; i++) {
    int l = low[y16() + 16 * i], h = high[y16() + 16 * i];
    top[i] = minusInfinity();
    UNROLL for (int j = 0; j < B / 16; j++) {
      int k = key + x16() + 16 * j;
      inside[i][j] = k >= l && k < h;
      s[i][j] *= scale;
      if (inside[i][j]) top[i] = __builtin_fmaxf(top[i], s[i][j]);
    }
    top[i] = rowMost(top[i]);
  }
}

template <int B, int D>
DEVICE void forward(float *dst, const float *q, const float *k, const float *v, const int *lo, const int *hi, Shape n) {
  const int R = B / 16, G = D / 64;
  SHARED static int low[B], high[B];
  float *Q = memory, *KV = Q + tileSize<B, D>(), *W = KV + tileSize<B, D>();
  int from = (blocksX() - 1 - blockX()) * B; // the longest causal rows first
  int head = blockY(), keyHead = head / (n.heads / n.keyHeads);
  int qs = n.heads * n.dim, ks = n.keyHeads * n.dim;
  loadRanges<B>(low, high, lo, hi, from, n);
  load<B, D>(Q, q, from, n.queries, qs, head, n.dim);
  __syncthreads();
  int first, last;
  span<B>(low, high, &first, &last);
  f4 o[R][G];
  float peak[R], sum[R];
  UNROLL for (int i = 0; i < R; i++) {
    peak[i] = minusInfinity();
    sum[i] = 0.0f;
    UNROLL for (int g = 0; g < G; g++) o[i][g] = (f4){0.0f, 0.0f, 0.0f, 0.0f};
  }
  for (int key = first; key < last; key += B) {
    __syncthreads();
    load<B, D>(KV, k, key, n.keys, ks, keyHead, n.dim);
    __syncthreads();
    float s[R][R], top[R];
    bool inside[R][R];
    dots<B, D>(s, Q, KV);
    maskScores<B>(s, inside, top, low, high, key, n.scale);
    UNROLL for (int i = 0; i < R; i++) {
      top[i] = __builtin_fmaxf(top[i], peak[i]);
      float shift = top[i] == minusInfinity() ? 0.0f : top[i];
      float factor = peak[i] == minusInfinity() ? 0.0f : exponential(peak[i] - shift);
      float add = 0.0f;
      UNROLL for (int j = 0; j < R; j++) {
        s[i][j] = inside[i][j] ? exponential(s[i][j] - shift) : 0.0f;
        add += s[i][j];
      }
      peak[i] = top[i];
      sum[i] = sum[i] * factor + rowSum(add);
      UNROLL for (int g = 0; g < G; g++) o[i][g] *= factor;
    }
    storeWeights<B>(W, s);
    __syncthreads();
    load<B, D>(KV, v, key, n.keys, ks, keyHead, n.dim);
    __syncthreads();
    gatherRows<B, D>(o, W, KV);
  }
  UNROLL for (int i = 0; i < R; i++) {
    float inverse = sum[i] == 0.0f ? 0.0f : 1.0f / sum[i];
    UNROLL for (int g = 0; g < G; g++) o[i][g] *= inverse;
  }
  store<B, D>(dst, o, from, n.queries, qs, head, n.dim);
}

// queryGrad goes over the keys twice: for the rows' statistics, then for dq = Σ dS·k with
// dS = P∘(dP − mean)·scale.
template <int B, int D>
DEVICE void queryGrad(float *dq, f4 *rows, const float *q, const float *k, const float *v, const int *lo, const int *hi,
                      const float *dy, Shape n) {
  const int R = B / 16, G = D / 64;
  SHARED static int low[B], high[B];
  float *Q = memory, *Y = Q + tileSize<B, D>(), *K = Y + tileSize<B, D>(), *V = K + tileSize<B, D>(),
        *W = V + tileSize<B, D>();
  int from = (blocksX() - 1 - blockX()) * B;
  int head = blockY(), keyHead = head / (n.heads / n.keyHeads);
  int qs = n.heads * n.dim, ks = n.keyHeads * n.dim;
  loadRanges<B>(low, high, lo, hi, from, n);
  load<B, D>(Q, q, from, n.queries, qs, head, n.dim);
  load<B, D>(Y, dy, from, n.queries, qs, head, n.dim);
  __syncthreads();
  int first, last;
  span<B>(low, high, &first, &last);
  float peak[R], sum[R], mean[R];
  UNROLL for (int i = 0; i < R; i++) {
    peak[i] = minusInfinity();
    sum[i] = mean[i] = 0.0f;
  }
  for (int key = first; key < last; key += B) {
    __syncthreads();
    load<B, D>(K, k, key, n.keys, ks, keyHead, n.dim);
    load<B, D>(V, v, key, n.keys, ks, keyHead, n.dim);
    __syncthreads();
    float s[R][R], dp[R][R], top[R];
    bool inside[R][R];
    dots<B, D>(s, Q, K);
    dots<B, D>(dp, Y, V);
    maskScores<B>(s, inside, top, low, high, key, n.scale);
    UNROLL for (int i = 0; i < R; i++) {
      top[i] = __builtin_fmaxf(top[i], peak[i]);
      float shift = top[i] == minusInfinity() ? 0.0f : top[i];
      float factor = peak[i] == minusInfinity() ? 0.0f : exponential(peak[i] - shift);
      float add = 0.0f, addMean = 0.0f;
      UNROLL for (int j = 0; j < R; j++) {
        float p = inside[i][j] ? exponential(s[i][j] - shift) : 0.0f;
        add += p;
        addMean += p * dp[i][j];
      }
      peak[i] = top[i];
      sum[i] = sum[i] * factor + rowSum(add);
      mean[i] = mean[i] * factor + rowSum(addMean);
    }
  }
  UNROLL for (int i = 0; i < R; i++) {
    sum[i] = sum[i] == 0.0f ? 0.0f : 1.0f / sum[i];
    mean[i] *= sum[i];
    if (peak[i] == minusInfinity()) peak[i] = 0.0f;
    int t = from + y16() + 16 * i;
    if (x16() == 0 && t < n.queries) rows[(i64)t * n.heads + head] = (f4){peak[i], sum[i], mean[i], 0.0f};
  }
  f4 o[R][G];
  UNROLL for (int i = 0; i < R; i++) UNROLL for (int g = 0; g < G; g++) o[i][g] = (f4){0.0f, 0.0f, 0.0f, 0.0f};
  for (int key = first; key < last; key += B) {
    __syncthreads();
    load<B, D>(K, k, key, n.keys, ks, keyHead, n.dim);
    load<B, D>(V, v, key, n.keys, ks, keyHead, n.dim);
    __syncthreads();
    float s[R][R], dp[R][R];
    dots<B, D>(s, Q, K);
    dots<B, D>(dp, Y, V);
    UNROLL for (int i = 0; i < R; i++) {
      int l = low[y16() + 16 * i], h = high[y16() + 16 * i];
      UNROLL for (int j = 0; j < R; j++) {
        int at = key + x16() + 16 * j;
        float p = exponential(s[i][j] * n.scale - peak[i]) * sum[i];
        s[i][j] = at >= l && at < h ? p * (dp[i][j] - mean[i]) * n.scale : 0.0f;
      }
    }
    storeWeights<B>(W, s);
    __syncthreads();
    gatherRows<B, D>(o, W, K);
  }
  store<B, D>(dq, o, from, n.queries, qs, head, n.dim);
}

// keyGrad keeps a tile of keys and goes over the queries that read it, in order:
// dv = Σ Pᵀ·dy and dk = Σ dSᵀ·q. Here the rows of a tile of scores are keys.
template <int B, int D>
DEVICE void keyGrad(float *dk, float *dv, const f4 *rows, const float *q, const float *k, const float *v, const int *lo,
                    const int *hi, const float *dy, Shape n) {
  const int R = B / 16, G = D / 64;
  SHARED static int low[B], high[B];
  float *Q = memory, *Y = Q + tileSize<B, D>(), *K = Y + tileSize<B, D>(), *V = K + tileSize<B, D>(),
        *W = V + tileSize<B, D>();
  int from = blockX() * B, to = least(n.keys, from + B), keyHead = blockY();
  int group = n.heads / n.keyHeads, qs = n.heads * n.dim, ks = n.keyHeads * n.dim;
  load<B, D>(K, k, from, n.keys, ks, keyHead, n.dim);
  load<B, D>(V, v, from, n.keys, ks, keyHead, n.dim);
  f4 ok[R][G], ov[R][G];
  UNROLL for (int i = 0; i < R; i++) UNROLL for (int g = 0; g < G; g++)
      ok[i][g] = ov[i][g] = (f4){0.0f, 0.0f, 0.0f, 0.0f};
  for (int query = 0; query < n.queries; query += B) {
    __syncthreads();
    loadRanges<B>(low, high, lo, hi, query, n);
    int reads = thread() < B && low[thread()] < to && high[thread()] > from;
    if (!__nvvm_bar0_or(reads)) continue;
    for (int head = keyHead * group; head < (keyHead + 1) * group; head++) {
      __syncthreads();
      load<B, D>(Q, q, query, n.queries, qs, head, n.dim);
      load<B, D>(Y, dy, query, n.queries, qs, head, n.dim);
      __syncthreads();
      float s[R][R], dp[R][R];
      dots<B, D>(s, K, Q);
      dots<B, D>(dp, V, Y);
      UNROLL for (int j = 0; j < R; j++) {
        int column = x16() + 16 * j, t = query + column;
        f4 row = {0.0f, 0.0f, 0.0f, 0.0f};
        if (t < n.queries) row = rows[(i64)t * n.heads + head];
        UNROLL for (int i = 0; i < R; i++) {
          int at = from + y16() + 16 * i;
          bool inside = at >= low[column] && at < high[column];
          float p = inside ? exponential(s[i][j] * n.scale - row.x) * row.y : 0.0f;
          s[i][j] = p;
          dp[i][j] = inside ? p * (dp[i][j] - row.z) * n.scale : 0.0f;
        }
      }
      storeWeights<B>(W, s);
      __syncthreads();
      gatherRows<B, D>(ov, W, Y);
      __syncthreads();
      storeWeights<B>(W, dp);
      __syncthreads();
      gatherRows<B, D>(ok, W, Q);
    }
  }
  store<B, D>(dk, ok, from, n.keys, ks, keyHead, n.dim);
  store<B, D>(dv, ov, from, n.keys, ks, keyHead, n.dim);
}

#define FORWARD(B, D)                                                                                                  \
  KERNEL void PAIRED(256) attention_##B##_##D(float *dst, const float *q, const float *k, const float *v,             \
                                              const int *lo, const int *hi, int queries, int keys, int heads,         \
                                              int keyHeads, int dim, int window, float scale) {                                   \
    forward<B, D>(dst, q, k, v, lo, hi, (Shape){queries, keys, heads, keyHeads, dim, window, scale});                          \
  }

#define BACKWARD(B, D)                                                                                                 \
  KERNEL void BOUNDS(256) query_grad_##B##_##D(float *dq, f4 *rows, const float *q, const float *k, const float *v,   \
                                               const int *lo, const int *hi, const float *dy, int queries, int keys,  \
                                               int heads, int keyHeads, int dim, int window, float scale) {                       \
    queryGrad<B, D>(dq, rows, q, k, v, lo, hi, dy, (Shape){queries, keys, heads, keyHeads, dim, window, scale});               \
  }                                                                                                                    \
  KERNEL void BOUNDS(256) key_grad_##B##_##D(float *dk, float *dv, const f4 *rows, const float *q, const float *k,    \
                                             const float *v, const int *lo, const int *hi, const float *dy,           \
                                             int queries, int keys, int heads, int keyHeads, int dim, int window, float scale) {  \
    keyGrad<B, D>(dk, dv, rows, q, k, v, lo, hi, dy, (Shape){queries, keys, heads, keyHeads, dim, window, scale});             \
  }

FORWARD(64, 64)
FORWARD(64, 128)
FORWARD(32, 256)
BACKWARD(64, 64)
BACKWARD(64, 128)
BACKWARD(32, 128)
BACKWARD(32, 256)
BACKWARD(16, 256)
