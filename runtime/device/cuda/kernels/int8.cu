// Linear modules with int8 weights after LLM.int8() (Dettmers et al. 2022), and AdamW with 8-bit states
// (Dettmers et al. 2021). A code stands for code·scale/127 of its row.
#include "storage.h"

typedef signed char i8;
typedef unsigned char u8;
typedef int i4 __attribute__((ext_vector_type(4)));
typedef u32 u2 __attribute__((ext_vector_type(2)));

// flags[k] = 1 where |x[t,k]| ≥ threshold; the flags were 0. A thread looks down a span of columns of `rows` rows from
// blockY's first on and writes its flags at the end, so that the time does not depend on how many there are.
template <class S> DEVICE void flag_outliers(u8 *flags, const S *x, int T, int K, int rows, float threshold) {
  const int W = wide<S>(), U = 8; // rows that are read before the first is looked at
  int from = blockY() * rows, to = least(T, from + rows), i = (blockX() * threads() + thread()) * W;
  if (i >= K) return;
  u32 found = 0;
  if (K % W == 0 && aligned(x)) {
    for (int t = from; t < to; t += U) {
      f4 spans[U];
      UNROLL for (int u = 0; u < U; u++) spans[u] = *(const f4 *)(x + (i64)least(t + u, to - 1) * K + i);
      UNROLL for (int u = 0; u < U; u++) {
        Floats<W> v = load<W>((const S *)&spans[u]);
        UNROLL for (int k = 0; k < W; k++) found |= (u32)(__builtin_fabsf(v.at[k]) >= threshold) << k;
      }
    }
  } else {
    for (int t = from; t < to; t++) {
      for (int k = 0; k < W && i + k < K; k++) found |= (u32)(__builtin_fabsf((float)x[(i64)t * K + i + k]) >= threshold) << k;
    }
  }
  UNROLL for (int k = 0; k < W; k++) {
    if (found >> k & 1) flags[i + k] = 1;
  }
}
STORED(flag_outliers, (u8 *flags, const S *x, int T, int K, int rows, float threshold), (flags, x, T, K, rows, threshold))

// list = the flagged columns, ascending; count[0] = how many. One block of 256 threads.
KERNEL void BOUNDS(256) list_outliers(int *list, int *count, const u8 *flags, int K) {
  SHARED static int warps[8];
  int share = (K + 255) / 256, from = least(K, thread() * share), to = least(K, from + share), mine = 0;
  for (int k = from; k < to; k++) mine += flags[k];
  int at = mine, lane = thread() % 32; // the sum up to this thread, then before it
  UNROLL for (int step = 1; step < 32; step *= 2) {
    int before = __nvvm_shfl_sync_up_i32(0xffffffffu, at, step, 0);
    if (lane >= step) at += before;
  }
  if (lane == 31) warps[thread() / 32] = at;
  __syncthreads();
  at -= mine;
  for (int w = 0; w < thread() / 32; w++) at += warps[w];
  for (int k = from; k < to; k++)
    if (flags[k]) list[at++] = k;
  if (thread() == 255) count[0] = at;
}

// scale[n] = max |x[n,k]| over the columns without a flag, codes[n,k] = round(x·(127/scale)), 0 in flagged
// columns. flags may be null. One block to a row.
template <class S> DEVICE void quantize_rows(i8 *codes, float *scale, const S *x, const u8 *flags, int K) {
  SHARED static float scratch[32];
  const S *row = x + (i64)blockX() * K;
  i8 *out = codes + (i64)blockX() * K;
  bool all = aligned(x) && aligned(codes) && ((u64)flags & 7) == 0 && K % 16 == 0;
  float most = 0.0f;
  alongRow<S>(K, all, [&](int i, auto c) {
    Floats<c.n> v = load<c.n>(row + i);
    UNROLL for (int k = 0; k < c.n; k++) {
      if (!flags || !flags[i + k]) most = __builtin_fmaxf(most, __builtin_fabsf(v.at[k]));
    }
  });
  most = blockMost(most, scratch);
  if (thread() == 0) scale[blockX()] = most;
  float f = most == 0.0f ? 0.0f : 127.0f / most;
  alongRow<S>(K, all, [&](int i, auto c) {
    Floats<c.n> v = load<c.n>(row + i);
    u32 words[2] = {0, 0};
    UNROLL for (int k = 0; k < c.n; k++) {
      float y = __builtin_rintf(__nvvm_mul_rn_f(v.at[k], f));
      int q = (int)__builtin_fminf(__builtin_fmaxf(y, -127.0f), 127.0f);
      if (flags && flags[i + k]) q = 0;
      words[k / 4] |= (u32)(q & 255) << k % 4 * 8;
    }
    if constexpr (c.n == 8) *(u2 *)(out + i) = u2{words[0], words[1]};
    else if constexpr (c.n == 4) *(u32 *)(out + i) = words[0];
    else out[i] = (i8)words[0];
  });
}
STORED(quantize_rows, (i8 *codes, float *scale, const S *x, const u8 *flags, int K), (codes, scale, x, flags, K))

// flagsFrom is N bytes from i on, aligned where N is eight or four; zeros of no flags.
template <int N> DEVICE u64 flagsFrom(const u8 *flags, int i) {
  if (!flags) return 0;
  if constexpr (N == 8) return *(const u64 *)(flags + i);
  else if constexpr (N == 4) return *(const u32 *)(flags + i);
  else return flags[i];
}

// dst[t,k] = scale/127·round(x·(127/scale)) with the row's scale as quantize_rows takes it, x itself in flagged
// columns. flags may be null. One block to a row.
template <class S> DEVICE void requantize_rows(S *dst, const S *x, const u8 *flags, int K) {
  SHARED static float scratch[32];
  const int W = wide<S>(), H = 12; // spans of a thread that stay in registers
  const S *row = x + (i64)blockX() * K;
  S *out = dst + (i64)blockX() * K;
  bool all = aligned(x) && aligned(dst) && ((u64)flags & 7) == 0 && K % 16 == 0, held = all && K <= threads() * W * H;
  float most = 0.0f, f, back;
  auto look = [&](int i, auto c, Floats<c.n> v) {
    u64 flagged = flagsFrom<c.n>(flags, i);
    if (flagged) UNROLL for (int k = 0; k < c.n; k++) v.at[k] = flagged >> 8 * k & 255 ? 0.0f : v.at[k];
    UNROLL for (int k = 0; k < c.n; k++) most = __builtin_fmaxf(most, __builtin_fabsf(v.at[k]));
  };
  auto put = [&](int i, auto c, Floats<c.n> v) {
    u64 flagged = flagsFrom<c.n>(flags, i);
    Floats<c.n> o;
    UNROLL for (int k = 0; k < c.n; k++) o.at[k] = back * __builtin_rintf(__nvvm_mul_rn_f(v.at[k], f));
    if (flagged) UNROLL for (int k = 0; k < c.n; k++) o.at[k] = flagged >> 8 * k & 255 ? v.at[k] : o.at[k];
    store<c.n>(out + i, o);
  };
  u32 spans[H][4];
  if (held) {
    UNROLL for (int h = 0; h < H; h++) {
      int i = (h * threads() + thread()) * W;
      if (i < K) *(i4 *)spans[h] = *(const i4 *)(row + i);
    }
    UNROLL for (int h = 0; h < H; h++) {
      int i = (h * threads() + thread()) * W;
      if (i < K) look(i, Count<W>(), load<W>((const S *)spans[h]));
    }
  } else {
    alongRow<S>(K, all, [&](int i, auto c) { look(i, c, load<c.n>(row + i)); });
  }
  most = blockMost(most, scratch);
  f = most == 0.0f ? 0.0f : 127.0f / most;
  back = most / 127.0f;
  if (held) {
    UNROLL for (int h = 0; h < H; h++) {
      int i = (h * threads() + thread()) * W;
      if (i < K) put(i, Count<W>(), load<W>((const S *)spans[h]));
    }
  } else {
    alongRow<S>(K, all, [&](int i, auto c) { put(i, c, load<c.n>(row + i)); });
  }
}
STORED(requantize_rows, (S *dst, const S *x, const u8 *flags, int K), (dst, x, flags, K))

// dst[n,i] = codes[n,from+i]·scale[n]/127 for i < width. One block to a row of K codes.
template <class S> DEVICE void dequantize(S *dst, const i8 *codes, const float *scale, int K, int from, int width) {
  const i8 *row = codes + (i64)blockX() * K + from;
  S *out = dst + (i64)blockX() * width;
  float s = scale[blockX()] / 127.0f;
  if (width % 16 == 0 && aligned(row) && aligned(out)) {
    for (int i = thread() * 16; i < width; i += threads() * 16) {
      i4 words = *(const i4 *)(row + i);
      UNROLL for (int part = 0; part < 16; part += wide<S>()) {
        Floats<wide<S>()> v;
        UNROLL for (int k = 0; k < wide<S>(); k++)
          v.at[k] = (float)(i8)(words[(part + k) / 4] >> (part + k) % 4 * 8) * s;
        store<wide<S>()>(out + i + part, v);
      }
    }
  } else {
    for (int i = thread(); i < width; i += threads()) out[i] = (S)((float)row[i] * s);
  }
}
STORED(dequantize, (S *dst, const i8 *codes, const float *scale, int K, int from, int width),
       (dst, codes, scale, K, from, width))

// dst[t,from+n] = scale[from+n]/127·rowScale[t]/127·sums[t,n] for n < width, a multiple of 4. A row of
// blocks to each t, four columns to a thread.
template <class S>
DEVICE void int8_finish(S *dst, const int *sums, const float *rowScale, const float *scale, int N, int from, int width) {
  int n = (blockX() * threads() + thread()) * 4;
  if (n >= width) return;
  i4 sum = *(const i4 *)(sums + (i64)blockY() * width + n);
  float s = rowScale[blockY()] / 127.0f;
  f4 v;
  UNROLL for (int k = 0; k < 4; k++) v[k] = scale[from + n + k] / 127.0f * (s * (float)sum[k]);
  S *out = dst + (i64)blockY() * N + from + n;
  if (!aligned(dst)) {
    UNROLL for (int k = 0; k < 4; k++) out[k] = (S)v[k];
  } else if constexpr (isNarrow<S>()) {
    *(u2 *)out = u2{join<S>(v[0], v[1]), join<S>(v[2], v[3])};
  } else {
    *(f4 *)out = v;
  }
}
STORED(int8_finish, (S *dst, const int *sums, const float *rowScale, const float *scale, int N, int from, int width),
       (dst, sums, rowScale, scale, N, from, width))

// dst[t,j] = x[t,list[j]] for j < count, zeros up to width. One block to a row.
template <class S> DEVICE void gather_columns(S *dst, const S *x, const int *list, int count, int K, int width) {
  for (int j = thread(); j < width; j += threads())
    dst[(i64)blockX() * width + j] = j < count ? x[(i64)blockX() * K + list[j]] : (S)0.0f;
}
STORED(gather_columns, (S *dst, const S *x, const int *list, int count, int K, int width), (dst, x, list, count, K, width))

// dst[n,j] = codes[n,list[j]]·scale[n]/127 for j < count, zeros up to width. One block to a row.
template <class S>
DEVICE void dequantize_columns(S *dst, const i8 *codes, const float *scale, const int *list, int count, int K, int width) {
  float s = scale[blockX()] / 127.0f;
  for (int j = thread(); j < width; j += threads())
    dst[(i64)blockX() * width + j] = j < count ? (S)((float)codes[(i64)blockX() * K + list[j]] * s) : (S)0.0f;
}
STORED(dequantize_columns, (S *dst, const i8 *codes, const float *scale, const int *list, int count, int K, int width),
       (dst, codes, scale, list, count, K, width))

DEVICE int dot4(int a, int b, int sum) {
  int r;
  asm("dp4a.s32.s32 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(sum));
  return r;
}

// rowsByColumn is int8_product for R rows from top on; a warp's lanes share the k.
template <int R, class S>
DEVICE void rowsByColumn(S *dst, const i8 *q, const float *rowScale, const float *scale, const S *x, const i8 *codes,
                         const int *list, const int *count, int T, int N, int K, int n, int top) {
  int lane = thread() % 32;
  const i8 *w = codes + (i64)n * K;
  int sum[R];
  float rest[R];
  UNROLL for (int i = 0; i < R; i++) {
    sum[i] = 0;
    rest[i] = 0.0f;
  }
  if (K % 16 == 0 && aligned(codes) && aligned(q)) {
    const int U = R == 1 ? 4 : 1; // spans that are read before the first is used
    for (int k = lane * 16; k < K; k += 512 * U) {
      i4 b[U], none = {0, 0, 0, 0};
      UNROLL for (int u = 0; u < U; u++) b[u] = k + 512 * u < K ? *(const i4 *)(w + k + 512 * u) : none;
      UNROLL for (int u = 0; u < U; u++) UNROLL for (int i = 0; i < R; i++) {
        i4 a = *(const i4 *)(q + (i64)least(top + i, T - 1) * K + least(k + 512 * u, K - 16));
        UNROLL for (int e = 0; e < 4; e++) sum[i] = dot4(a[e], b[u][e], sum[i]);
      }
    }
  } else {
    _Pragma("nounroll") for (int k = lane; k < K; k += 32)
      UNROLL for (int i = 0; i < R; i++) sum[i] += (int)q[(i64)least(top + i, T - 1) * K + k] * (int)w[k];
  }
  int outliers = count ? count[0] : 0;
  _Pragma("nounroll") for (int j = lane; j < outliers; j += 32) {
    int k = list[j];
    float b = (float)w[k];
    UNROLL for (int i = 0; i < R; i++) rest[i] = __builtin_fmaf((float)x[(i64)least(top + i, T - 1) * K + k], b, rest[i]);
  }
  float f = scale[n] / 127.0f;
  UNROLL for (int i = 0; i < R; i++) {
    UNROLL for (int mask = 16; mask > 0; mask >>= 1) {
      sum[i] += __nvvm_shfl_sync_bfly_i32(0xffffffffu, sum[i], mask, 31);
      rest[i] += exchange(rest[i], mask);
    }
    if (lane == i && top + i < T)
      dst[(i64)(top + i) * N + n] = (S)(f * __builtin_fmaf(rowScale[top + i] / 127.0f, (float)sum[i], rest[i]));
  }
}

// The whole product for few rows, or sizes that the tensor cores do not take. A warp to a column n and
// four rows.
template <class S>
DEVICE void int8_product(S *dst, const i8 *q, const float *rowScale, const float *scale, const S *x, const i8 *codes,
                         const int *list, const int *count, int T, int N, int K) {
  int n = blockX() * 8 + thread() / 32, top = blockY() * 4;
  if (n >= N) return;
  if (T == 1) rowsByColumn<1>(dst, q, rowScale, scale, x, codes, list, count, T, N, K, n, 0);
  else rowsByColumn<4>(dst, q, rowScale, scale, x, codes, list, count, T, N, K, n, top);
}
STORED(int8_product,
       (S *dst, const i8 *q, const float *rowScale, const float *scale, const S *x, const i8 *codes, const int *list,
        const int *count, int T, int N, int K),
       (dst, q, rowScale, scale, x, codes, list, count, T, N, K))

// The code nearest to v/most in an ascending map, the lower one of two as near, moved by one where it
// lacks the sign of v.
DEVICE u8 momentCode(const float *map, float v, float most) {
  if (most > 0.0f) v = v / most;
  int low = 0, high = 255;
  UNROLL for (int step = 0; step < 8; step++) {
    int middle = (low + high) / 2;
    if (high - low > 1) {
      if (map[middle] <= v) low = middle;
      else high = middle;
    }
  }
  if (v - map[low] > map[high] - v) low = high;
  if (v < 0.0f && map[low] >= 0.0f) low--;
  else if (v > 0.0f && map[low] < 0.0f) low++;
  return (u8)low;
}

// adamw with states in codes of two maps of 256 values, signed then unsigned; a block of 256 threads to
// the 256 elements that share a scale.
KERNEL void BOUNDS(256) adamw8(float *p, const float *g, u8 *m, u8 *v, float *mMost, float *vMost, const float *maps,
                               i64 n, float decay, float beta1, float other1, float beta2, float other2, float rate,
                               float root, float eps) {
  SHARED static float map[512], scratch[32];
  int at = thread(), block = blockX();
  map[at] = maps[at];
  map[256 + at] = maps[256 + at];
  __syncthreads();
  i64 i = (i64)block * 256 + at;
  float mi = 0.0f, vi = 0.0f;
  if (i < n) {
    float gi = g[i];
    mi = beta1 * (map[m[i]] * mMost[block]) + other1 * gi;
    vi = beta2 * (map[256 + v[i]] * vMost[block]) + other2 * gi * gi;
    p[i] = p[i] * decay - rate * mi / (__builtin_sqrtf(vi) * root + eps);
  }
  float mTop = blockMost(__builtin_fabsf(mi), scratch), vTop = blockMost(vi, scratch);
  if (i < n) {
    m[i] = momentCode(map, mi, mTop);
    v[i] = momentCode(map + 256, vi, vTop);
  }
  if (at == 0) {
    mMost[block] = mTop;
    vMost[block] = vTop;
  }
}
