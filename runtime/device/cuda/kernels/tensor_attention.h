// Attention on tensor cores over operands stored in 16 bits: products and softmax in float32, the
// weights rounded to the storage type between two products.
//
// A warp owns 16 or 32 rows of a tile of scores, so a row's softmax stays within four lanes and the
// weights go from the accumulators of one product to the operands of the next without leaving
// registers (Dao, FlashAttention-2, 2023). Heads are padded with zeros to D. Tiles are copied to
// shared memory while the tile before is computed. Each result element is summed by one warp in a
// fixed order.
#pragma once
#include "copy.h"
#include "tensor.h"

typedef unsigned short u16;

extern SHARED __attribute__((aligned(1024))) char memory[];

DEVICE u32 sharedBase() { return sharedAddress(memory); }

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

// Tile is rows of D elements in chunks of eight; the chunk's place is its number xor the row's, so that
// eight chunks down a column meet no bank twice.
template <int D> struct Tile {
  static const int row = 2 * D;
  // The lane's place in four matrices that are 16 rows by 16 columns: left operands and, turned, right ones.
  DEVICE u32 left() { return lane() % 16 * row + ((lane() / 16 ^ (lane() & 7)) << 4); }
  // The same for right operands whose rows are the columns of the product.
  DEVICE u32 right() { return (lane() % 8 + lane() / 16 * 8) * row + ((lane() / 8 % 2 ^ (lane() & 7)) << 4); }
};

// Operand is a matrix of heads in memory: `row` elements from one row to the next.
struct Operand {
  const u16 *at; // of either type: only copied
  int rows, row, dim;
  bool aligned; // 16 bytes may be copied at once
};

template <class S> DEVICE Operand operand(const S *base, int rows, int heads, int head, int dim) {
  return (Operand){(const u16 *)base + (i64)head * dim, rows, heads * dim, dim, ::aligned(base) && dim % 8 == 0};
}

// load starts copying rows from..from+ROWS to a tile, zeros past the last row and past dim.
template <int D, int ROWS, int THREADS> DEVICE void load(u32 tile, Operand o, int from) {
  const u16 *base = o.at + (i64)from * o.row;
  int rows = o.rows - from;
  if (o.aligned) {
    const int step = THREADS * 8 / D; // a multiple of eight: a thread's chunk keeps its place
    int r = thread() / (D / 8), c = thread() % (D / 8);
    const u16 *src = base + (i64)r * o.row + c * 8;
    u32 to = tile + r * Tile<D>::row + ((c ^ (r & 7)) << 4);
    bool in = c * 8 < o.dim;
    UNROLL for (int i = 0; i < ROWS / step; i++)
        copy16(to + i * step * Tile<D>::row, src + (i64)(i * step) * o.row, in && r + i * step < rows ? 16 : 0);
    return;
  }
  _Pragma("nounroll") for (int i = thread(); i < ROWS * D; i += THREADS) {
    int r = i / D, c = i % D;
    u16 v = r < rows && c < o.dim ? base[(i64)r * o.row + c] : 0;
    asm volatile("st.shared.u16 [%0], %1;"
                 : : "r"(tile + r * Tile<D>::row + ((c / 8 ^ (r & 7)) << 4) + c % 8 * 2), "h"(v) : "memory");
  }
}

template <int M, int N> DEVICE void clear(float (&c)[M][N][4]) {
  UNROLL for (int m = 0; m < M; m++) UNROLL for (int n = 0; n < N; n++) UNROLL for (int e = 0; e < 4; e++) c[m][n][e] = 0.0f;
}

// scores is s = a·bᵀ: 16·M rows of one tile by 8·N rows of another, at the lane's places in them.
template <class S, int D, int M, int N> DEVICE void scores(float (&s)[M][N][4], u32 a, u32 b) {
  clear(s);
  UNROLL for (int k = 0; k < D / 16; k++) {
    u32 u[M][4], w[4];
    UNROLL for (int m = 0; m < M; m++) read4(u[m], (a ^ 32 * k) + m * 16 * Tile<D>::row);
    UNROLL for (int n = 0; n < N; n += 2) {
      read4(w, (b ^ 32 * k) + n * 8 * Tile<D>::row);
      UNROLL for (int m = 0; m < M; m++) {
        multiply<S>(s[m][n], u[m], w[0], w[1]);
        multiply<S>(s[m][n + 1], u[m], w[2], w[3]);
      }
    }
  }
}

// The same with the rows of a, 16 of them, in registers.
template <class S, int D, int N> DEVICE void scores(float (&s)[1][N][4], const u32 (&a)[D / 16][4], u32 b) {
  clear(s);
  UNROLL for (int k = 0; k < D / 16; k++) UNROLL for (int n = 0; n < N; n += 2) {
    u32 w[4];
    read4(w, (b ^ 32 * k) + n * 8 * Tile<D>::row);
    multiply<S>(s[0][n], a[k], w[0], w[1]);
    multiply<S>(s[0][n + 1], a[k], w[2], w[3]);
  }
}

// apply is o += w·t: weights by the 8·N rows of a tile.
template <class S, int D, int M, int N> DEVICE void apply(float (&o)[M][D / 8][4], const float (&w)[M][N][4], u32 t) {
  UNROLL for (int k = 0; k < N / 2; k++) {
    u32 u[M][4];
    UNROLL for (int m = 0; m < M; m++) UNROLL for (int i = 0; i < 4; i++)
        u[m][i] = join<S>(w[m][2 * k + i / 2][i % 2 * 2], w[m][2 * k + i / 2][i % 2 * 2 + 1]);
    UNROLL for (int n = 0; n < D / 8; n += 2) {
      u32 b[4];
      read4Turned(b, (t ^ 16 * n) + 16 * k * Tile<D>::row);
      UNROLL for (int m = 0; m < M; m++) {
        multiply<S>(o[m][n], u[m], b[0], b[1]);
        multiply<S>(o[m][n + 1], u[m], b[2], b[3]);
      }
    }
  }
}

// put writes two neighbours of a row.
template <class S> DEVICE void put(S *row, int column, int dim, float a, float b) {
  if (column + 1 < dim && ((u64)(row + column) & 3) == 0) {
    *(u32 *)(row + column) = join<S>(a, b);
    return;
  }
  if (column < dim) row[column] = (S)a;
  if (column + 1 < dim) row[column + 1] = (S)b;
}

// Queries is an entry of the host's plan: a tile of 128 queries. Their ranges lie in [first, last), and
// all of them hold [low, high).
struct Queries {
  int from, first, last, low, high, unused[3];
};

// mask sets scores outside their query's range to minus infinity; rows are queries.
template <int M, int N>
DEVICE void mask(float (&s)[M][N][4], int row, int key, const int *lo, const int *hi, const Shape &n) {
  UNROLL for (int m = 0; m < M; m++) UNROLL for (int half = 0; half < 2; half++) {
    int low, high;
    range(row + 16 * m + 8 * half, lo, hi, n, &low, &high);
    low -= key + lane() % 4 * 2;
    high -= key + lane() % 4 * 2;
    UNROLL for (int i = 0; i < N; i++) UNROLL for (int e = 0; e < 2; e++)
        if (8 * i + e < low || 8 * i + e >= high) s[m][i][2 * half + e] = minusInfinity();
  }
}

// The weights of a row are taken against a base, not always its largest score: the base is raised, and what
// was summed is scaled down, once a score is more than 2^slack weights above it.
static const float slack = 8.0f;

// forward: a block of four warps takes 128 queries of a head and goes over tiles of 64 keys. kept, where it
// is not null, gets log₂ Σ exp(score) of each query and head, infinite for an empty range. With two stages
// the next tile of keys and values is on its way while the present one is computed, with one only
// either of them.
template <class S, int D>
DEVICE void forward(S *dst, float *kept, const S *q, const S *k, const S *v, const int *lo, const int *hi,
                    const Queries *plan, int stages, Shape n) {
  const int B = 128, N = 64, THREADS = 128, tileBytes = N * Tile<D>::row;
  u32 Q = sharedBase(), first = Q + B * Tile<D>::row, K = first, stage = stages == 2 ? 2 * tileBytes : 0;
  Queries tile = plan[blockY()];
  int head = blockX(), keyHead = head / (n.heads / n.keyHeads);
  Operand keys = operand(k, n.keys, n.keyHeads, keyHead, n.dim), values = operand(v, n.keys, n.keyHeads, keyHead, n.dim);
  load<D, B, THREADS>(Q, operand(q, n.queries, n.heads, head, n.dim), tile.from);
  if (tile.first < tile.last) {
    load<D, N, THREADS>(K, keys, tile.first);
    if (stages == 2) load<D, N, THREADS>(K + tileBytes, values, tile.first);
  }
  u32 atQ = Q + warp() * 32 * Tile<D>::row + Tile<D>::left();
  int row = tile.from + warp() * 32 + lane() / 4;
  float o[2][D / 8][4], base[4], sum[4], c = n.scale * log2e;
  clear(o);
  UNROLL for (int i = 0; i < 4; i++) {
    base[i] = minusInfinity();
    sum[i] = 0.0f;
  }
  _Pragma("nounroll") for (int key = tile.first; key < tile.last; key += N) {
    u32 now = K;
    wait();
    if (stages == 1) load<D, N, THREADS>(K + tileBytes, values, key);
    K = 2 * first + stage - K;
    if (stages == 2 && key + N < tile.last) {
      load<D, N, THREADS>(K, keys, key + N);
      load<D, N, THREADS>(K + tileBytes, values, key + N);
    }
    float s[2][N / 8][4];
    scores<S, D, 2, N / 8>(s, atQ, now + Tile<D>::right());
    if (stages == 1) {
      wait();
      if (key + N < tile.last) load<D, N, THREADS>(K, keys, key + N);
    }
    if (key < tile.low || key + N > tile.high) mask(s, row, key, lo, hi, n);
    float top[4];
    bool raise = false;
    UNROLL for (int i = 0; i < 4; i++) { // the lane's rows: 8·i from its first
      int m = i / 2, h = i % 2 * 2;
      top[i] = minusInfinity();
      UNROLL for (int j = 0; j < N / 8; j++) top[i] = __builtin_fmaxf(top[i], __builtin_fmaxf(s[m][j][h], s[m][j][h + 1]));
      top[i] = rowMost(top[i]);
      raise |= top[i] > __builtin_fmaf(slack, 1.0f / c, base[i]);
    }
    if (__nvvm_vote_any_sync(0xffffffffu, raise)) {
      UNROLL for (int i = 0; i < 4; i++) {
        int m = i / 2, h = i % 2 * 2;
        float old = base[i];
        base[i] = __builtin_fmaxf(old, top[i]);
        float factor = old == minusInfinity() ? 0.0f : power2((old - base[i]) * c);
        sum[i] *= factor;
        UNROLL for (int j = 0; j < D / 8; j++) {
          o[m][j][h] *= factor;
          o[m][j][h + 1] *= factor;
        }
      }
    }
    UNROLL for (int i = 0; i < 4; i++) {
      int m = i / 2, h = i % 2 * 2;
      float shift = base[i] == minusInfinity() ? 0.0f : base[i] * c;
      UNROLL for (int j = 0; j < N / 8; j++) UNROLL for (int e = h; e < h + 2; e++) {
        s[m][j][e] = power2(__builtin_fmaf(s[m][j][e], c, -shift));
        sum[i] += s[m][j][e];
      }
    }
    apply<S, D, 2, N / 8>(o, s, now + tileBytes + Tile<D>::left());
  }
  UNROLL for (int i = 0; i < 4; i++) {
    int m = i / 2, h = i % 2 * 2, t = row + 8 * i;
    float whole = rowSum(sum[i]), inverse = whole == 0.0f ? 0.0f : 1.0f / whole;
    if (t >= n.queries) continue;
    S *out = dst + ((i64)t * n.heads + head) * n.dim;
    UNROLL for (int j = 0; j < D / 8; j++)
        put(out, 8 * j + lane() % 4 * 2, n.dim, o[m][j][h] * inverse, o[m][j][h + 1] * inverse);
    if (kept && lane() % 4 == 0)
      kept[(i64)t * n.heads + head] =
          whole == 0.0f ? -minusInfinity() : __builtin_fmaf(base[i], c, __nvvm_lg2_approx_ftz_f(whole));
  }
}

// attention_means gives the two statistics that the gradients read of a query and head, at
// stats[head·padded + query]: what forward kept, and the mean of dP = dy·vᵀ under the weights, which is
// dy·result. A warp to each; queries past the last have no weights.
template <class S> DEVICE void attention_means(f2 *stats, const float *kept, const S *result, const S *dy, int padded, Shape n) {
  i64 at = globalThread() / 32;
  int t = (int)(at / n.heads), head = (int)(at % n.heads);
  if (t >= padded) return;
  float mean = 0.0f;
  if (t < n.queries) {
    const S *o = result + at * n.dim, *y = dy + at * n.dim;
    bool pairs = ((u64)o & 3) == 0 && ((u64)y & 3) == 0 && n.dim % 2 == 0;
    for (int c = lane() * 2; c < n.dim; c += 64) {
      if (pairs) {
        Floats<2> a = load<2>(o + c), b = load<2>(y + c);
        mean += a.at[0] * b.at[0] + a.at[1] * b.at[1];
      } else {
        mean += (float)o[c] * (float)y[c];
        if (c + 1 < n.dim) mean += (float)o[c + 1] * (float)y[c + 1];
      }
    }
  }
  for (int mask = 16; mask > 0; mask >>= 1) mean += exchange(mean, mask);
  if (lane() == 0) stats[(i64)head * padded + t] = (f2){t < n.queries ? kept[at] : -minusInfinity(), mean};
}

// queryGrad: a block of eight warps takes 128 queries of a head, in registers, and goes over tiles of 64
// keys: dq = Σ dS·k·scale with dS = P∘(dP − mean).
template <class S, int D>
DEVICE void queryGrad(S *dq, const f2 *stats, const S *q, const S *k, const S *v, const int *lo, const int *hi,
                      const S *dy, const Queries *plan, Shape n) {
  const int B = 128, N = 64, THREADS = 256, half = 2 * N * Tile<D>::row; // bytes of keys and values
  u32 base = sharedBase();
  Queries tile = plan[blockY()];
  int head = blockX(), keyHead = head / (n.heads / n.keyHeads);
  Operand keys = operand(k, n.keys, n.keyHeads, keyHead, n.dim), values = operand(v, n.keys, n.keyHeads, keyHead, n.dim);
  load<D, B, THREADS>(base, operand(q, n.queries, n.heads, head, n.dim), tile.from);
  load<D, B, THREADS>(base + half, operand(dy, n.queries, n.heads, head, n.dim), tile.from);
  wait();
  u32 Q[D / 16][4], Y[D / 16][4], at = base + warp() * 16 * Tile<D>::row + Tile<D>::left();
  UNROLL for (int i = 0; i < D / 16; i++) {
    read4(Q[i], at ^ 32 * i);
    read4(Y[i], (at ^ 32 * i) + half);
  }
  __syncthreads();
  int row = tile.from + warp() * 16 + lane() / 4;
  f2 state[2];
  UNROLL for (int i = 0; i < 2; i++) state[i] = stats[(i64)head * blocksY() * B + row + 8 * i];
  float o[1][D / 8][4], c = n.scale * log2e;
  clear(o);
  if (tile.first < tile.last) {
    load<D, N, THREADS>(base, keys, tile.first);
    load<D, N, THREADS>(base + half / 2, values, tile.first);
  }
  u32 now = base;
  _Pragma("nounroll") for (int key = tile.first; key < tile.last; key += N) {
    u32 next = now == base ? base + half : base;
    wait();
    if (key + N < tile.last) {
      load<D, N, THREADS>(next, keys, key + N);
      load<D, N, THREADS>(next + half / 2, values, key + N);
    }
    float s[1][N / 8][4], dp[1][N / 8][4];
    scores<S, D, N / 8>(s, Q, now + Tile<D>::right());
    scores<S, D, N / 8>(dp, Y, now + half / 2 + Tile<D>::right());
    if (key < tile.low || key + N > tile.high) mask(s, row, key, lo, hi, n);
    UNROLL for (int i = 0; i < N / 8; i++) UNROLL for (int e = 0; e < 4; e++)
        s[0][i][e] = power2(__builtin_fmaf(s[0][i][e], c, -state[e / 2].x)) * (dp[0][i][e] - state[e / 2].y);
    apply<S, D, 1, N / 8>(o, s, now + Tile<D>::left());
    now = next;
  }
  UNROLL for (int i = 0; i < 2; i++) {
    int t = row + 8 * i;
    if (t >= n.queries) continue;
    UNROLL for (int j = 0; j < D / 8; j++)
        put(dq + ((i64)t * n.heads + head) * n.dim, 8 * j + lane() % 4 * 2, n.dim, o[0][j][2 * i] * n.scale, o[0][j][2 * i + 1] * n.scale);
  }
}

// Keys is an entry of the host's plan: a tile of 128 keys and the tiles of 64 queries that may read it.
struct Keys {
  int from, first, last, unused;
};

// Reach is an entry of the host's plan: the ranges of a tile of 64 queries lie in [first, last), and all of
// them hold [low, high).
struct Reach {
  int first, last, low, high;
};

// keyGrad: a block of eight warps keeps 128 keys and goes over tiles of 64 queries and the heads that
// share the keys, in order: dv = Σ Pᵀ·dy and dk = Σ dSᵀ·q·scale. The rows of a tile of scores are
// keys here. Where `splits` share out the heads, each writes sums in float32 for gather_parts.
template <class S, int D>
DEVICE void keyGrad(void *dk, void *dv, const f2 *stats, const S *q, const S *k, const S *v, const int *lo,
                    const int *hi, const S *dy, const Keys *plan, const Reach *reach, int statsRow, int splits,
                    int stages, Shape n) {
  const int B = 128, N = 64, THREADS = 256, tileBytes = N * Tile<D>::row, stage = 2 * tileBytes;
  u32 K = sharedBase(), V = K + B * Tile<D>::row, T = V + B * Tile<D>::row, states = T + stages * stage;
  Keys tile = plan[blockY()];
  int keyHead = blockX() / splits, split = blockX() % splits, group = n.heads / n.keyHeads;
  int firstHead = keyHead * group + group * split / splits, lastHead = keyHead * group + group * (split + 1) / splits;
  int to = tile.from + B;
  load<D, B, THREADS>(K, operand(k, n.keys, n.keyHeads, keyHead, n.dim), tile.from);
  load<D, B, THREADS>(V, operand(v, n.keys, n.keyHeads, keyHead, n.dim), tile.from);
  u32 atK = K + warp() * 16 * Tile<D>::row + Tile<D>::left(), atV = atK + B * Tile<D>::row;
  float ok[1][D / 8][4], ov[1][D / 8][4], c = n.scale * log2e;
  clear(ok);
  clear(ov);

  int head = firstHead, query = tile.first, slot = 0;
  auto skip = [&] { // passes query tiles that do not read these keys
    while (query < tile.last && (reach[query].first >= to || reach[query].last <= tile.from)) query++;
  };
  auto fetch = [&] {
    u32 at = T + slot * stage;
    load<D, N, THREADS>(at, operand(q, n.queries, n.heads, head, n.dim), query * N);
    load<D, N, THREADS>(at + tileBytes, operand(dy, n.queries, n.heads, head, n.dim), query * N);
    if (thread() < N / 2) copy16(states + slot * N * 8 + thread() * 16, stats + (i64)head * statsRow + query * N + thread() * 2, 16);
  };
  skip();
  if (stages == 2 && query < tile.last) fetch();
  while (query < tile.last) {
    int nowQuery = query, nowSlot = slot;
    if (stages == 1) {
      __syncthreads();
      fetch();
    }
    if (++head == lastHead) {
      head = firstHead;
      query++;
      skip();
    }
    wait();
    if (stages == 2) {
      slot ^= 1;
      if (query < tile.last) fetch();
    }
    u32 at = T + nowSlot * stage;
    float s[1][N / 8][4], dp[1][N / 8][4];
    scores<S, D, 1, N / 8>(s, atK, at + Tile<D>::right());
    scores<S, D, 1, N / 8>(dp, atV, at + tileBytes + Tile<D>::right());
    Reach r = reach[nowQuery];
    if (tile.from < r.low || to > r.high) {
      int key = tile.from + warp() * 16 + lane() / 4;
      UNROLL for (int i = 0; i < N / 8; i++) UNROLL for (int e = 0; e < 2; e++) {
        int low, high;
        range(nowQuery * N + 8 * i + lane() % 4 * 2 + e, lo, hi, n, &low, &high);
        if (key < low || key >= high) s[0][i][e] = minusInfinity();
        if (key + 8 < low || key + 8 >= high) s[0][i][e + 2] = minusInfinity();
      }
    }
    UNROLL for (int i = 0; i < N / 8; i++) {
      f4 state; // of the lane's two queries
      asm volatile("ld.shared.v4.f32 {%0,%1,%2,%3}, [%4];"
                   : "=f"(state.x), "=f"(state.y), "=f"(state.z), "=f"(state.w)
                   : "r"(states + nowSlot * N * 8 + (8 * i + lane() % 4 * 2) * 8)
                   : "memory");
      UNROLL for (int e = 0; e < 4; e++) {
        float p = power2(__builtin_fmaf(s[0][i][e], c, -(e % 2 ? state.z : state.x)));
        s[0][i][e] = p;
        dp[0][i][e] = p * (dp[0][i][e] - (e % 2 ? state.w : state.y));
      }
    }
    apply<S, D, 1, N / 8>(ov, s, at + tileBytes + Tile<D>::left());
    apply<S, D, 1, N / 8>(ok, dp, at + Tile<D>::left());
  }
  UNROLL for (int i = 0; i < 2; i++) {
    int t = tile.from + warp() * 16 + lane() / 4 + 8 * i;
    if (t >= n.keys) continue;
    i64 row = ((i64)t * n.keyHeads + keyHead) * n.dim, part = (i64)split * n.keys * n.keyHeads * n.dim + row;
    UNROLL for (int j = 0; j < D / 8; j++) {
      int column = 8 * j + lane() % 4 * 2;
      float a = ok[0][j][2 * i] * n.scale, b = ok[0][j][2 * i + 1] * n.scale, x = ov[0][j][2 * i], y = ov[0][j][2 * i + 1];
      if (splits == 1) {
        put((S *)dk + row, column, n.dim, a, b);
        put((S *)dv + row, column, n.dim, x, y);
        continue;
      }
      if (column < n.dim) {
        ((float *)dk)[part + column] = a;
        ((float *)dv)[part + column] = x;
      }
      if (column + 1 < n.dim) {
        ((float *)dk)[part + column + 1] = b;
        ((float *)dv)[part + column + 1] = y;
      }
    }
  }
}

// gatherParts sums parts of n floats each, in order.
template <class S> DEVICE void gather_parts(S *dst, const float *parts, i64 n, int count) {
  for (i64 i = globalThread() * 2; i < n; i += allThreads() * 2) {
    float a = 0.0f, b = 0.0f;
    for (int p = 0; p < count; p++) {
      a += parts[p * n + i];
      if (i + 1 < n) b += parts[p * n + i + 1];
    }
    put(dst + i, 0, (int)(n - i < 2 ? n - i : 2), a, b);
  }
}

#define TENSOR_ATTENTION(S, NAME, D)                                                                                   \
  KERNEL void PAIRED(128) tensor_attention_##NAME##_##D(S *dst, float *kept, const S *q, const S *k, const S *v,       \
                                                        const int *lo, const int *hi, const Queries *plan, int stages, \
                                                        SHAPE_ARGUMENTS) {                                             \
    forward<S, D>(dst, kept, q, k, v, lo, hi, plan, stages, SHAPE);                                                    \
  }                                                                                                                    \
  KERNEL void BOUNDS(256) tensor_query_grad_##NAME##_##D(S *dq, const f2 *stats, const S *q, const S *k,        \
                                                         const S *v, const int *lo, const int *hi, const S *dy,   \
                                                         const Queries *plan, SHAPE_ARGUMENTS) {                      \
    queryGrad<S, D>(dq, stats, q, k, v, lo, hi, dy, plan, SHAPE);                                                      \
  }                                                                                                                    \
  KERNEL void BOUNDS(256) tensor_key_grad_##NAME##_##D(                                                                \
      void *dk, void *dv, const f2 *stats, const S *q, const S *k, const S *v, const int *lo, const int *hi,     \
      const S *dy, const Keys *plan, const Reach *reach, int statsRow, int splits, int stages, SHAPE_ARGUMENTS) {    \
    keyGrad<S, D>(dk, dv, stats, q, k, v, lo, hi, dy, plan, reach, statsRow, splits, stages, SHAPE);                   \
  }

#define TENSOR_ATTENTIONS(S, NAME)                                                                                     \
  TENSOR_ATTENTION(S, NAME, 64)                                                                                        \
  TENSOR_ATTENTION(S, NAME, 128)
