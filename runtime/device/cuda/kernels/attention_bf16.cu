// Attention on tensor cores: operands rounded to bfloat16, sums and softmax in float32.
//
// A block is four warps and works on tiles of 64 queries by 64 keys; a warp owns 16 rows of a tile of
// scores, so a row's softmax stays within four lanes and the weights go from the accumulators of one
// product to the operands of the next without leaving registers (Dao, FlashAttention-2, 2023). Heads
// are padded with zeros to D. Each result element is summed by one warp in a fixed order.
#include "attention.h"

typedef unsigned short bf16;
typedef u32 u2 __attribute__((ext_vector_type(2)));

static const int B = 64, THREADS = 128;

extern SHARED __attribute__((aligned(16))) bf16 memory[];

// Rows have 8 elements of padding: eight 16-byte reads down a column meet no bank twice.
template <int D> struct Tile {
  static const int stride = D + 8, size = B * stride;
};

DEVICE int lane() { return thread() % 32; }
DEVICE int warpRow() { return thread() / 32 * 16; }

DEVICE u32 address(const void *p) {
  u32 a;
  asm("{ .reg .u64 t; cvta.to.shared.u64 t, %1; cvt.u32.u64 %0, t; }" : "=r"(a) : "l"(p));
  return a;
}

DEVICE u32 pack(float low, float high) {
  u32 r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
}

DEVICE float quickExponential(float x) { return __nvvm_ex2_approx_f(x * 1.44269502f); }

// Four 8×8 matrices, whose rows the lanes name: lanes 0–7 those of the first, and so on.
DEVICE void read4(u32 (&r)[4], u32 at) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(at)
               : "memory");
}

DEVICE void read4Turned(u32 (&r)[4], u32 at) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(at)
               : "memory");
}

// c[16,8] += a[16,16]·b[16,8]. Lane 4g+t holds of c the rows g (c0, c1) and g+8 (c2, c3), columns 2t
// and 2t+1.
DEVICE void multiply(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

template <int N> DEVICE void clear(float (&c)[N][4]) {
  UNROLL for (int n = 0; n < N; n++) UNROLL for (int e = 0; e < 4; e++) c[n][e] = 0.0f;
}

// load copies rows from..from+64 of one head into a tile, zeros past `to` and past dim; from < to.
// Eight reads are under way before the first is used; those outside are made inside and dropped.
template <int D> DEVICE void load(bf16 *tile, const float *src, int from, int to, int rowStride, int head, int dim) {
  const float *base = src + (i64)from * rowStride + (i64)head * dim;
  int rows = to - from;
  if (((u64)base & 15) == 0 && dim % 4 == 0 && rowStride % 4 == 0) {
    const int batch = 8, rowStep = THREADS * 4 / D; // rows between two reads of a thread
    int row = thread() / (D / 4), c = thread() % (D / 4) * 4;
    const float *column = base + (c < dim ? c : 0);
    _Pragma("nounroll") for (int start = row; start < B; start += batch * rowStep) {
      f4 v[batch];
      UNROLL for (int i = 0; i < batch; i++) v[i] = *(const f4 *)(column + (i64)least(start + i * rowStep, rows - 1) * rowStride);
      UNROLL for (int i = 0; i < batch; i++) {
        int r = start + i * rowStep;
        bool in = r < rows && c < dim;
        u2 packed = {pack(v[i].x, v[i].y), pack(v[i].z, v[i].w)};
        *(u2 *)(tile + r * Tile<D>::stride + c) = in ? packed : (u2){0, 0};
      }
    }
    return;
  }
  _Pragma("nounroll") for (int i = thread(); i < B * D / 2; i += THREADS) {
    int r = i / (D / 2), c = i % (D / 2) * 2;
    const float *at = base + (i64)r * rowStride + c;
    float low = r < rows && c < dim ? at[0] : 0.0f, high = r < rows && c + 1 < dim ? at[1] : 0.0f;
    *(u32 *)(tile + r * Tile<D>::stride + c) = pack(low, high);
  }
}

// s = a·bᵀ: the warp's 16 rows of tile a by the 64 rows of tile b.
template <int D> DEVICE void scores(float (&s)[8][4], u32 a, u32 b) {
  clear(s);
  int l = lane();
  a += 2 * ((warpRow() + l % 16) * Tile<D>::stride + l / 16 * 8);
  b += 2 * ((l % 8 + l / 16 * 8) * Tile<D>::stride + l / 8 % 2 * 8);
  _Pragma("unroll 2") for (int k = 0; k < D; k += 16) {
    u32 u[4], w[4];
    read4(u, a + 2 * k);
    UNROLL for (int n = 0; n < 8; n += 2) {
      read4(w, b + 2 * (8 * n * Tile<D>::stride + k));
      multiply(s[n], u, w[0], w[1]);
      multiply(s[n + 1], u, w[2], w[3]);
    }
  }
}

// o += w·m: the warp's weights [16,64] by tile m.
template <int D> DEVICE void apply(float (&o)[D / 8][4], const float (&w)[8][4], u32 m) {
  int l = lane();
  m += 2 * (l % 16 * Tile<D>::stride + l / 16 * 8);
  UNROLL for (int k = 0; k < 4; k++) {
    u32 u[4] = {pack(w[2 * k][0], w[2 * k][1]), pack(w[2 * k][2], w[2 * k][3]), pack(w[2 * k + 1][0], w[2 * k + 1][1]),
                pack(w[2 * k + 1][2], w[2 * k + 1][3])};
    UNROLL for (int n = 0; n < D / 8; n += 2) {
      u32 b[4];
      read4Turned(b, m + 2 * (16 * k * Tile<D>::stride + 8 * n));
      multiply(o[n], u, b[0], b[1]);
      multiply(o[n + 1], u, b[2], b[3]);
    }
  }
}

template <int D>
DEVICE void store(float *dst, const float (&o)[D / 8][4], int from, int to, int rowStride, int head, int dim) {
  UNROLL for (int half = 0; half < 2; half++) {
    int t = from + warpRow() + lane() / 4 + 8 * half;
    if (t >= to) continue;
    float *row = dst + (i64)t * rowStride + (i64)head * dim;
    UNROLL for (int n = 0; n < D / 8; n++) UNROLL for (int e = 0; e < 2; e++) {
      int column = 8 * n + lane() % 4 * 2 + e;
      if (column < dim) row[column] = o[n][2 * half + e];
    }
  }
}

DEVICE float rowMost(float v) {
  v = __builtin_fmaxf(v, exchange(v, 1));
  return __builtin_fmaxf(v, exchange(v, 2));
}

DEVICE float rowSum(float v) {
  v += exchange(v, 1);
  return v + exchange(v, 2);
}

// The state of the two rows that a lane has a share in, 8 apart.
struct Rows {
  int low[2], high[2];
  float top[2], sum[2], mean[2];
};

DEVICE void begin(Rows &r, const int *low, const int *high) {
  UNROLL for (int half = 0; half < 2; half++) {
    int row = warpRow() + lane() / 4 + 8 * half;
    r.low[half] = low[row];
    r.high[half] = high[row];
    r.top[half] = minusInfinity();
    r.sum[half] = r.mean[half] = 0.0f;
  }
}

DEVICE bool inside(const Rows &r, int half, int key, int n, int e) {
  int at = key + 8 * n + lane() % 4 * 2 + e;
  return at >= r.low[half] && at < r.high[half];
}

// soften turns scores into weights exp(s·scale − top), 0 outside the ranges, after raising top to the
// largest score so far; factor is what sums under the old top are to be multiplied with.
DEVICE void soften(Rows &r, float (&s)[8][4], float (&factor)[2], int key, float scale) {
  UNROLL for (int half = 0; half < 2; half++) {
    float top = minusInfinity();
    UNROLL for (int n = 0; n < 8; n++) UNROLL for (int e = 0; e < 2; e++) {
      float &v = s[n][2 * half + e];
      v = inside(r, half, key, n, e) ? v * scale : minusInfinity();
      top = __builtin_fmaxf(top, v);
    }
    top = __builtin_fmaxf(rowMost(top), r.top[half]);
    float shift = top == minusInfinity() ? 0.0f : top, add = 0.0f;
    factor[half] = quickExponential(r.top[half] - shift);
    UNROLL for (int n = 0; n < 8; n++) UNROLL for (int e = 0; e < 2; e++) {
      float &v = s[n][2 * half + e];
      v = quickExponential(v - shift);
      add += v;
    }
    r.top[half] = top;
    r.sum[half] = r.sum[half] * factor[half] + rowSum(add);
  }
}

template <int D>
DEVICE void forward(float *dst, const float *q, const float *k, const float *v, const int *lo, const int *hi, Shape n) {
  SHARED static int low[B], high[B];
  bf16 *Q = memory, *K = Q + Tile<D>::size, *V = K + Tile<D>::size;
  int from = (blocksX() - 1 - blockX()) * B; // the longest causal rows first
  int head = blockY(), keyHead = head / (n.heads / n.keyHeads);
  int qs = n.heads * n.dim, ks = n.keyHeads * n.dim;
  loadRanges<B>(low, high, lo, hi, from, n);
  load<D>(Q, q, from, n.queries, qs, head, n.dim);
  __syncthreads();
  int first, last;
  span<B>(low, high, &first, &last);
  Rows r;
  begin(r, low, high);
  float o[D / 8][4];
  clear(o);
  for (int key = first; key < last; key += B) {
    __syncthreads();
    load<D>(K, k, key, n.keys, ks, keyHead, n.dim);
    load<D>(V, v, key, n.keys, ks, keyHead, n.dim);
    __syncthreads();
    float s[8][4], factor[2];
    scores<D>(s, address(Q), address(K));
    soften(r, s, factor, key, n.scale);
    UNROLL for (int i = 0; i < D / 8; i++) UNROLL for (int e = 0; e < 4; e++) o[i][e] *= factor[e / 2];
    apply<D>(o, s, address(V));
  }
  UNROLL for (int half = 0; half < 2; half++) {
    float inverse = r.sum[half] == 0.0f ? 0.0f : 1.0f / r.sum[half];
    UNROLL for (int i = 0; i < D / 8; i++) UNROLL for (int e = 0; e < 2; e++) o[i][2 * half + e] *= inverse;
  }
  store<D>(dst, o, from, n.queries, qs, head, n.dim);
}

// queryGrad goes over the keys twice: for the rows' statistics, then for dq = Σ dS·k with
// dS = P∘(dP − mean)·scale.
template <int D>
DEVICE void queryGrad(float *dq, f4 *rows, const float *q, const float *k, const float *v, const int *lo, const int *hi,
                      const float *dy, Shape n) {
  SHARED static int low[B], high[B];
  bf16 *Q = memory, *Y = Q + Tile<D>::size, *K = Y + Tile<D>::size, *V = K + Tile<D>::size;
  int from = (blocksX() - 1 - blockX()) * B;
  int head = blockY(), keyHead = head / (n.heads / n.keyHeads);
  int qs = n.heads * n.dim, ks = n.keyHeads * n.dim;
  loadRanges<B>(low, high, lo, hi, from, n);
  load<D>(Q, q, from, n.queries, qs, head, n.dim);
  load<D>(Y, dy, from, n.queries, qs, head, n.dim);
  __syncthreads();
  int first, last;
  span<B>(low, high, &first, &last);
  Rows r;
  begin(r, low, high);
  for (int key = first; key < last; key += B) {
    __syncthreads();
    load<D>(K, k, key, n.keys, ks, keyHead, n.dim);
    load<D>(V, v, key, n.keys, ks, keyHead, n.dim);
    __syncthreads();
    float s[8][4], dp[8][4], factor[2];
    scores<D>(s, address(Q), address(K));
    scores<D>(dp, address(Y), address(V));
    soften(r, s, factor, key, n.scale);
    UNROLL for (int half = 0; half < 2; half++) {
      float add = 0.0f;
      UNROLL for (int i = 0; i < 8; i++) UNROLL for (int e = 0; e < 2; e++) add += s[i][2 * half + e] * dp[i][2 * half + e];
      r.mean[half] = r.mean[half] * factor[half] + rowSum(add);
    }
  }
  UNROLL for (int half = 0; half < 2; half++) {
    r.sum[half] = r.sum[half] == 0.0f ? 0.0f : 1.0f / r.sum[half];
    r.mean[half] *= r.sum[half];
    if (r.top[half] == minusInfinity()) r.top[half] = 0.0f;
    int t = from + warpRow() + lane() / 4 + 8 * half;
    if (lane() % 4 == 0 && t < n.queries) rows[(i64)t * n.heads + head] = (f4){r.top[half], r.sum[half], r.mean[half], 0.0f};
  }
  float o[D / 8][4];
  clear(o);
  for (int key = first; key < last; key += B) {
    __syncthreads();
    load<D>(K, k, key, n.keys, ks, keyHead, n.dim);
    load<D>(V, v, key, n.keys, ks, keyHead, n.dim);
    __syncthreads();
    float s[8][4], dp[8][4];
    scores<D>(s, address(Q), address(K));
    scores<D>(dp, address(Y), address(V));
    UNROLL for (int half = 0; half < 2; half++) UNROLL for (int i = 0; i < 8; i++) UNROLL for (int e = 0; e < 2; e++) {
      int at = 2 * half + e;
      float p = quickExponential(s[i][at] * n.scale - r.top[half]) * r.sum[half];
      s[i][at] = inside(r, half, key, i, e) ? p * (dp[i][at] - r.mean[half]) * n.scale : 0.0f;
    }
    apply<D>(o, s, address(K));
  }
  store<D>(dq, o, from, n.queries, qs, head, n.dim);
}

// keyGrad keeps a tile of keys and goes over the queries that read it, in order:
// dv = Σ Pᵀ·dy and dk = Σ dSᵀ·q. Here the rows of a tile of scores are keys.
template <int D>
DEVICE void keyGrad(float *dk, float *dv, const f4 *rows, const float *q, const float *k, const float *v, const int *lo,
                    const int *hi, const float *dy, Shape n) {
  SHARED static int low[B], high[B];
  SHARED static f4 state[B];
  bf16 *Q = memory, *Y = Q + Tile<D>::size, *K = Y + Tile<D>::size, *V = K + Tile<D>::size;
  int from = blockX() * B, to = least(n.keys, from + B), keyHead = blockY();
  int group = n.heads / n.keyHeads, qs = n.heads * n.dim, ks = n.keyHeads * n.dim;
  load<D>(K, k, from, n.keys, ks, keyHead, n.dim);
  load<D>(V, v, from, n.keys, ks, keyHead, n.dim);
  float ok[D / 8][4], ov[D / 8][4];
  clear(ok);
  clear(ov);
  for (int query = 0; query < n.queries; query += B) {
    __syncthreads();
    loadRanges<B>(low, high, lo, hi, query, n);
    int reads = thread() < B && low[thread()] < to && high[thread()] > from;
    if (!__nvvm_bar0_or(reads)) continue;
    for (int head = keyHead * group; head < (keyHead + 1) * group; head++) {
      __syncthreads();
      load<D>(Q, q, query, n.queries, qs, head, n.dim);
      load<D>(Y, dy, query, n.queries, qs, head, n.dim);
      if (thread() < B) {
        int t = query + thread();
        state[thread()] = t < n.queries ? rows[(i64)t * n.heads + head] : (f4){0.0f, 0.0f, 0.0f, 0.0f};
      }
      __syncthreads();
      float s[8][4], dp[8][4];
      scores<D>(s, address(K), address(Q));
      scores<D>(dp, address(V), address(Y));
      UNROLL for (int i = 0; i < 8; i++) UNROLL for (int e = 0; e < 2; e++) {
        int column = 8 * i + lane() % 4 * 2 + e, l = low[column], h = high[column];
        f4 row = state[column];
        UNROLL for (int half = 0; half < 2; half++) {
          int at = from + warpRow() + lane() / 4 + 8 * half;
          bool in = at >= l && at < h;
          float &v = s[i][2 * half + e], &d = dp[i][2 * half + e];
          v = in ? quickExponential(v * n.scale - row.x) * row.y : 0.0f;
          d = in ? v * (d - row.z) * n.scale : 0.0f;
        }
      }
      apply<D>(ov, s, address(Y));
      apply<D>(ok, dp, address(Q));
    }
  }
  store<D>(dk, ok, from, n.keys, ks, keyHead, n.dim);
  store<D>(dv, ov, from, n.keys, ks, keyHead, n.dim);
}

#define ATTENTION(D)                                                                                                   \
  KERNEL void BOUNDS(128) attention_bf16_##D(float *dst, const float *q, const float *k, const float *v,              \
                                             const int *lo, const int *hi, int queries, int keys, int heads,          \
                                             int keyHeads, int dim, int window, float scale) {                        \
    forward<D>(dst, q, k, v, lo, hi, (Shape){queries, keys, heads, keyHeads, dim, window, scale});                     \
  }                                                                                                                    \
  KERNEL void BOUNDS(128) query_grad_bf16_##D(float *dq, f4 *rows, const float *q, const float *k, const float *v,    \
                                              const int *lo, const int *hi, const float *dy, int queries, int keys,   \
                                              int heads, int keyHeads, int dim, int window, float scale) {            \
    queryGrad<D>(dq, rows, q, k, v, lo, hi, dy, (Shape){queries, keys, heads, keyHeads, dim, window, scale});          \
  }                                                                                                                    \
  KERNEL void BOUNDS(128) key_grad_bf16_##D(float *dk, float *dv, const f4 *rows, const float *q, const float *k,     \
                                            const float *v, const int *lo, const int *hi, const float *dy,            \
                                            int queries, int keys, int heads, int keyHeads, int dim, int window,      \
                                            float scale) {                                                            \
    keyGrad<D>(dk, dv, rows, q, k, v, lo, hi, dy, (Shape){queries, keys, heads, keyHeads, dim, window, scale});        \
  }

ATTENTION(64)
ATTENTION(128)
