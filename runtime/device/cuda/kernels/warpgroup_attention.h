// Attention by products of warpgroups: what tensor_attention.h gives, over the same plan, with the same rounding. One
// warpgroup of a block copies tiles; two multiply, 64 rows each. Heads are padded with zeros to D.
#pragma once
#include "warpgroup.h"

// ALWAYS is for lambdas: registers that products write have no address.
#define ALWAYS __attribute__((always_inline))

// warpgroupForward: a block takes 128 queries of a head and goes over tiles of 128 keys. The scores of the next tile are
// computed beside the sum of values under the present one.
template <class S, int D>
DEVICE void warpgroupForward(S *dst, float *kept, const S *q, const S *k, const S *v, const int *lo, const int *hi,
                             const Queries *plan, Shape n) {
  const int B = 128, N = 128;
  typedef Panels<D, N> T;
  u32 Q = sharedBase(), tiles = Q + Panels<D, B>::bytes;
  Ring<5, T::bytes> ring = {tiles, tiles + 5 * T::bytes, 0, 0};
  u32 queriesCopied = tiles + ring.bytes;
  Queries tile = plan[blockY()];
  int head = blockX(), keyHead = head / (n.heads / n.keyHeads);
  if (thread() == 0) {
    ring.open();
    barrier(queriesCopied, 128);
  }
  __syncthreads();
  if (thread() < 128) {
    fewRegisters();
    Operand keys = operand(k, n.keys, n.keyHeads, keyHead, n.dim), values = operand(v, n.keys, n.keyHeads, keyHead, n.dim);
    fill<D, B>(Q, operand(q, n.queries, n.heads, head, n.dim), tile.from);
    arriveCopied(queriesCopied);
    _Pragma("nounroll") for (int key = tile.first; key < tile.last + N; key += N) {
      if (key < tile.last) {
        fill<D, N>(ring.tile(ring.vacant()), keys, key);
        ring.filled();
      }
      if (key > tile.first) {
        fill<D, N>(ring.tile(ring.vacant()), values, key - N);
        ring.filled();
      }
    }
    return;
  }
  manyRegisters();
  int group = thread() / 128 - 1, row = tile.from + group * 64 + warp() % 4 * 16 + lane() / 4;
  u64 rows = matrix(Q + group * 8192, Panels<D, B>::panel);
  float o[1][D / 8][4], base[2], sum[2], c = n.scale * log2e;
  u32 w[N / 16][4];
  clear(o);
  UNROLL for (int i = 0; i < 2; i++) {
    base[i] = minusInfinity();
    sum[i] = 0.0f;
  }
  // weights makes scores of keys from `key` on weights, and scales down what was summed, once it is, where the base
  // has to be raised.
  auto weights = [&](float(&s)[1][N / 8][4], int key, auto summed) ALWAYS {
    if (key < tile.low || key + N > tile.high) mask(s, row, key, lo, hi, n);
    float top[2];
    bool raise = false;
    UNROLL for (int i = 0; i < 2; i++) {
      top[i] = minusInfinity();
      UNROLL for (int j = 0; j < N / 8; j++) top[i] = __builtin_fmaxf(top[i], __builtin_fmaxf(s[0][j][2 * i], s[0][j][2 * i + 1]));
      top[i] = rowMost(top[i]);
      raise |= top[i] > __builtin_fmaf(slack, 1.0f / c, base[i]);
    }
    raise = __nvvm_vote_any_sync(0xffffffffu, raise);
    float factor[2];
    UNROLL for (int i = 0; i < 2; i++) {
      float old = base[i];
      if (raise) base[i] = __builtin_fmaxf(old, top[i]);
      factor[i] = !raise ? 1.0f : old == minusInfinity() ? 0.0f : power2((old - base[i]) * c);
      float shift = base[i] == minusInfinity() ? 0.0f : base[i] * c;
      sum[i] *= factor[i];
      UNROLL for (int j = 0; j < N / 8; j++) UNROLL for (int e = 2 * i; e < 2 * i + 2; e++) {
        s[0][j][e] = power2(__builtin_fmaf(s[0][j][e], c, -shift));
        sum[i] += s[0][j][e];
      }
    }
    summed();
    if (raise)
      UNROLL for (int j = 0; j < D / 8; j++) UNROLL for (int e = 0; e < 4; e++) o[0][j][e] *= factor[e / 2];
    narrow<S>(w, s);
  };
  if (tile.first < tile.last) {
    await(queriesCopied, 0);
    float s[1][N / 8][4];
    int keys = ring.take(), values;
    begin();
    dots<S, D>(s, rows, Panels<D, B>::panel, matrix(ring.tile(keys), T::panel), T::panel);
    commit();
    finish<0>(s);
    ring.release(keys);
    weights(s, tile.first, [] {});
    _Pragma("nounroll") for (int key = tile.first + N; key < tile.last; key += N) {
      float s[1][N / 8][4];
      keys = ring.take();
      begin(o, w);
      dots<S, D>(s, rows, Panels<D, B>::panel, matrix(ring.tile(keys), T::panel), T::panel);
      commit();
      values = ring.take();
      weigh<S>(o, w, matrix(ring.tile(values), T::panel));
      commit();
      finish<1>(s);
      ring.release(keys);
      weights(s, key, [&] ALWAYS {
        finish<0>(o, w);
        ring.release(values);
      });
    }
    values = ring.take();
    begin(o, w);
    weigh<S>(o, w, matrix(ring.tile(values), T::panel));
    commit();
    finish<0>(o);
  }
  UNROLL for (int i = 0; i < 2; i++) {
    int t = row + 8 * i;
    float whole = rowSum(sum[i]), inverse = whole == 0.0f ? 0.0f : 1.0f / whole;
    if (t >= n.queries) continue;
    S *out = dst + ((i64)t * n.heads + head) * n.dim;
    UNROLL for (int j = 0; j < D / 8; j++)
        put(out, 8 * j + lane() % 4 * 2, n.dim, o[0][j][2 * i] * inverse, o[0][j][2 * i + 1] * inverse);
    if (kept && lane() % 4 == 0)
      kept[(i64)t * n.heads + head] =
          whole == 0.0f ? -minusInfinity() : __builtin_fmaf(base[i], c, __nvvm_lg2_approx_ftz_f(whole));
  }
}

// warpgroupQueryGrad: a block takes 128 queries of a head and goes over tiles of 64 keys: dq = Σ dS·k·scale with
// dS = P∘(dP − mean). The last product of a tile is computed beside the weights of the next.
template <class S, int D>
DEVICE void warpgroupQueryGrad(S *dq, const f2 *stats, const S *q, const S *k, const S *v, const int *lo, const int *hi,
                               const S *dy, const Queries *plan, Shape n) {
  const int B = 128, N = 64;
  typedef Panels<D, N> T;
  u32 Q = sharedBase(), Y = Q + Panels<D, B>::bytes, tiles = Y + Panels<D, B>::bytes;
  Ring<8, T::bytes> ring = {tiles, tiles + 8 * T::bytes, 0, 0};
  u32 queriesCopied = tiles + ring.bytes;
  Queries tile = plan[blockY()];
  int head = blockX(), keyHead = head / (n.heads / n.keyHeads);
  if (thread() == 0) {
    ring.open();
    barrier(queriesCopied, 128);
  }
  __syncthreads();
  if (thread() < 128) {
    fewRegisters();
    Operand keys = operand(k, n.keys, n.keyHeads, keyHead, n.dim), values = operand(v, n.keys, n.keyHeads, keyHead, n.dim);
    fill<D, B>(Q, operand(q, n.queries, n.heads, head, n.dim), tile.from);
    fill<D, B>(Y, operand(dy, n.queries, n.heads, head, n.dim), tile.from);
    arriveCopied(queriesCopied);
    _Pragma("nounroll") for (int key = tile.first; key < tile.last; key += N) {
      fill<D, N>(ring.tile(ring.vacant()), keys, key);
      ring.filled();
      fill<D, N>(ring.tile(ring.vacant()), values, key);
      ring.filled();
    }
    return;
  }
  manyRegisters();
  int group = thread() / 128 - 1, row = tile.from + group * 64 + warp() % 4 * 16 + lane() / 4;
  u64 Qs = matrix(Q + group * 8192, Panels<D, B>::panel), Ys = matrix(Y + group * 8192, Panels<D, B>::panel);
  u32 w[N / 16][4];
  float o[1][D / 8][4], c = n.scale * log2e;
  clear(o);
  f2 state[2];
  UNROLL for (int i = 0; i < 2; i++) state[i] = stats[(i64)head * blocksY() * B + row + 8 * i];
  // gradients makes dS of the keys from `key`; then, while it does, runs beside the products that give what it reads.
  auto gradients = [&](int key, u64 keys, auto then, auto ended) ALWAYS {
    float s[1][N / 8][4], dp[1][N / 8][4];
    begin(o, w);
    dots<S, D>(s, Qs, Panels<D, B>::panel, keys, T::panel);
    commit();
    int values = ring.take();
    dots<S, D>(dp, Ys, Panels<D, B>::panel, matrix(ring.tile(values), T::panel), T::panel);
    commit();
    then();
    finish<2>(s);
    if (key < tile.low || key + N > tile.high) mask(s, row, key, lo, hi, n);
    UNROLL for (int i = 0; i < N / 8; i++) UNROLL for (int e = 0; e < 4; e++)
        s[0][i][e] = power2(__builtin_fmaf(s[0][i][e], c, -state[e / 2].x));
    finish<1>(dp);
    ring.release(values);
    UNROLL for (int i = 0; i < N / 8; i++) UNROLL for (int e = 0; e < 4; e++) s[0][i][e] *= dp[0][i][e] - state[e / 2].y;
    ended();
    narrow<S>(w, s);
  };
  if (tile.first < tile.last) {
    await(queriesCopied, 0);
    copied();
    int before = ring.take();
    gradients(tile.first, matrix(ring.tile(before), T::panel), [] { commit(); }, [] {});
    _Pragma("nounroll") for (int key = tile.first + N; key < tile.last; key += N) {
      int keys = ring.take();
      gradients(key, matrix(ring.tile(keys), T::panel),
                [&] ALWAYS {
                  weigh<S>(o, w, matrix(ring.tile(before), T::panel));
                  commit();
                },
                [&] ALWAYS {
                  finish<0>(o, w);
                  ring.release(before);
                });
      before = keys;
    }
    begin(o, w);
    weigh<S>(o, w, matrix(ring.tile(before), T::panel));
    commit();
    finish<0>(o);
  }
  UNROLL for (int i = 0; i < 2; i++) {
    int t = row + 8 * i;
    if (t >= n.queries) continue;
    UNROLL for (int j = 0; j < D / 8; j++)
        put(dq + ((i64)t * n.heads + head) * n.dim, 8 * j + lane() % 4 * 2, n.dim, o[0][j][2 * i] * n.scale, o[0][j][2 * i + 1] * n.scale);
  }
}

// warpgroupKeyGrad: a block keeps 128 keys and goes over tiles of 64 queries and the heads that share the keys, in
// order: dv = Σ Pᵀ·dy and dk = Σ dSᵀ·q·scale. The rows of a tile of scores are keys here. Where `splits` share out the
// heads, each writes sums in float32 for gather_parts.
template <class S, int D>
DEVICE void warpgroupKeyGrad(void *dk, void *dv, const f2 *stats, const S *q, const S *k, const S *v, const int *lo,
                             const int *hi, const S *dy, const Keys *plan, const Reach *reach, int statsRow, int splits,
                             Shape n) {
  const int B = 128, N = 64, SLOTS = 6;
  typedef Panels<D, N> T;
  u32 K = sharedBase(), V = K + Panels<D, B>::bytes, tiles = V + Panels<D, B>::bytes;
  Ring<SLOTS, T::bytes> ring = {tiles, tiles + SLOTS * T::bytes, 0, 0};
  u32 states = tiles + ring.bytes, keysCopied = states + SLOTS / 2 * N * 8;
  Keys tile = plan[blockY()];
  int keyHead = blockX() / splits, split = blockX() % splits, heads = n.heads / n.keyHeads;
  int firstHead = keyHead * heads + heads * split / splits, lastHead = keyHead * heads + heads * (split + 1) / splits;
  int to = tile.from + B;
  auto reads = [&](int query) { return reach[query].first < to && reach[query].last > tile.from; };
  if (thread() == 0) {
    ring.open();
    barrier(keysCopied, 128);
  }
  __syncthreads();
  if (thread() < 128) {
    fewRegisters();
    fill<D, B>(K, operand(k, n.keys, n.keyHeads, keyHead, n.dim), tile.from);
    fill<D, B>(V, operand(v, n.keys, n.keyHeads, keyHead, n.dim), tile.from);
    arriveCopied(keysCopied);
    _Pragma("nounroll") for (int query = tile.first; query < tile.last; query++) {
      if (!reads(query)) continue;
      _Pragma("nounroll") for (int head = firstHead; head < lastHead; head++) {
        int slot = ring.vacant(); // an even one: of queries
        fill<D, N>(ring.tile(slot), operand(q, n.queries, n.heads, head, n.dim), query * N);
        if (thread() < N / 2)
          copy16(states + slot / 2 * N * 8 + thread() * 16, stats + (i64)head * statsRow + query * N + thread() * 2, 16);
        ring.filled();
        fill<D, N>(ring.tile(ring.vacant()), operand(dy, n.queries, n.heads, head, n.dim), query * N);
        ring.filled();
      }
    }
    return;
  }
  manyRegisters();
  int group = thread() / 128 - 1, key = tile.from + group * 64 + warp() % 4 * 16 + lane() / 4;
  u64 keys = matrix(K + group * 8192, Panels<D, B>::panel), values = matrix(V + group * 8192, Panels<D, B>::panel);
  float ok[1][D / 8][4], ov[1][D / 8][4], c = n.scale * log2e;
  u32 p[N / 16][4], w[N / 16][4];
  clear(ok);
  clear(ov);
  int query = tile.first, head = firstHead;
  auto skip = [&] { // passes query tiles that do not read these keys
    while (query < tile.last && !reads(query)) query++;
  };
  // gradients makes P and dS of the next tile of queries, whose slots it gives; `beside` runs beside the scores' product.
  auto gradients = [&](auto beside, auto ended) ALWAYS {
    float s[1][N / 8][4], dp[1][N / 8][4];
    int slot = ring.take();
    begin(ok, ov, p, w);
    dots<S, D>(s, keys, Panels<D, B>::panel, matrix(ring.tile(slot), T::panel), T::panel);
    commit();
    beside();
    finish<1>(s);
    Reach r = reach[query];
    if (tile.from < r.low || to > r.high) {
      UNROLL for (int i = 0; i < N / 8; i++) UNROLL for (int e = 0; e < 2; e++) {
        int low, high;
        range(query * N + 8 * i + lane() % 4 * 2 + e, lo, hi, n, &low, &high);
        if (key < low || key >= high) s[0][i][e] = minusInfinity();
        if (key + 8 < low || key + 8 >= high) s[0][i][e + 2] = minusInfinity();
      }
    }
    auto state = [&](int i) { // of the lane's queries
      f4 v;
      asm volatile("ld.shared.v4.f32 {%0,%1,%2,%3}, [%4];"
                   : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
                   : "r"(states + slot / 2 * N * 8 + (8 * i + lane() % 4 * 2) * 8)
                   : "memory");
      return v;
    };
    UNROLL for (int i = 0; i < N / 8; i++) {
      f4 v = state(i);
      UNROLL for (int e = 0; e < 4; e++) s[0][i][e] = power2(__builtin_fmaf(s[0][i][e], c, -(e % 2 ? v.z : v.x)));
    }
    ended();
    begin();
    dots<S, D>(dp, values, Panels<D, B>::panel, matrix(ring.tile(ring.take()), T::panel), T::panel);
    commit();
    narrow<S>(p, s);
    finish<0>(dp);
    UNROLL for (int i = 0; i < N / 8; i++) {
      f4 v = state(i);
      UNROLL for (int e = 0; e < 4; e++) s[0][i][e] *= dp[0][i][e] - (e % 2 ? v.w : v.y);
    }
    narrow<S>(w, s);
    if (++head == lastHead) {
      head = firstHead;
      query++;
      skip();
    }
    return slot;
  };
  auto sum = [&](int slot) ALWAYS {
    weigh<S>(ov, p, matrix(ring.tile(slot + 1), T::panel));
    weigh<S>(ok, w, matrix(ring.tile(slot), T::panel));
    commit();
  };
  skip();
  if (query < tile.last) {
    await(keysCopied, 0);
    copied();
    int before = gradients([] { commit(); }, [] {});
    _Pragma("nounroll") while (query < tile.last)
        before = gradients([&] ALWAYS { sum(before); },
                           [&] ALWAYS {
                             finish<0>(ok, ov, p, w);
                             ring.release(before);
                             ring.release(before + 1);
                           });
    begin(ok, ov, p, w);
    sum(before);
    finish<0>(ok, ov);
  }
  UNROLL for (int i = 0; i < 2; i++) {
    int t = key + 8 * i;
    if (t >= n.keys) continue;
    i64 at = ((i64)t * n.keyHeads + keyHead) * n.dim, part = (i64)split * n.keys * n.keyHeads * n.dim + at;
    UNROLL for (int j = 0; j < D / 8; j++) {
      int column = 8 * j + lane() % 4 * 2;
      float a = ok[0][j][2 * i] * n.scale, b = ok[0][j][2 * i + 1] * n.scale, x = ov[0][j][2 * i], y = ov[0][j][2 * i + 1];
      if (splits == 1) {
        put((S *)dk + at, column, n.dim, a, b);
        put((S *)dv + at, column, n.dim, x, y);
      } else if (column < n.dim) { // dim is a multiple of eight
        *(f2 *)((float *)dk + part + column) = (f2){a, b};
        *(f2 *)((float *)dv + part + column) = (f2){x, y};
      }
    }
  }
}

#define WARPGROUP_ATTENTION(S, NAME, D)                                                                                \
  KERNEL void ALONE(384) warpgroup_attention_##NAME##_##D(S *dst, float *kept, const S *q, const S *k, const S *v,     \
                                                          const int *lo, const int *hi, const Queries *plan,           \
                                                          SHAPE_ARGUMENTS) {                                           \
    warpgroupForward<S, D>(dst, kept, q, k, v, lo, hi, plan, SHAPE);                                                   \
  }                                                                                                                    \
  KERNEL void ALONE(384) warpgroup_query_grad_##NAME##_##D(S *dq, const f2 *stats, const S *q, const S *k, const S *v, \
                                                           const int *lo, const int *hi, const S *dy,                  \
                                                           const Queries *plan, SHAPE_ARGUMENTS) {                     \
    warpgroupQueryGrad<S, D>(dq, stats, q, k, v, lo, hi, dy, plan, SHAPE);                                             \
  }                                                                                                                    \
  KERNEL void ALONE(384) warpgroup_key_grad_##NAME##_##D(                                                              \
      void *dk, void *dv, const f2 *stats, const S *q, const S *k, const S *v, const int *lo, const int *hi,           \
      const S *dy, const Keys *plan, const Reach *reach, int statsRow, int splits, SHAPE_ARGUMENTS) {                  \
    warpgroupKeyGrad<S, D>(dk, dv, stats, q, k, v, lo, hi, dy, plan, reach, statsRow, splits, SHAPE);                  \
  }
