// Element-wise operations: a grid of threads strides over n elements. A destination may be an input,
// since each element is read before it is written and by no other thread.
#include "storage.h"

template <class S> DEVICE void fill(S *dst, i64 n, float v) {
  eachSpan<S>(n, aligned(dst), [=](i64 i, auto c) {
    Floats<c.n> o;
    UNROLL for (int k = 0; k < c.n; k++) o.at[k] = v;
    store<c.n>(dst + i, o);
  });
}
STORED(fill, (S *dst, i64 n, float v), (dst, n, v))

// combine: dst = f(a, b).
template <class S, class F> DEVICE void combine(S *dst, const S *a, const S *b, i64 n, F f) {
  eachSpan<S>(n, aligned(dst) && aligned(a) && aligned(b), [=](i64 i, auto c) {
    Floats<c.n> x = load<c.n>(a + i), y = load<c.n>(b + i);
    UNROLL for (int k = 0; k < c.n; k++) x.at[k] = f(x.at[k], y.at[k]);
    store<c.n>(dst + i, x);
  });
}

template <class S> DEVICE void add(S *dst, const S *a, const S *b, i64 n) {
  combine(dst, a, b, n, [](float x, float y) { return x + y; });
}
STORED(add, (S *dst, const S *a, const S *b, i64 n), (dst, a, b, n))

template <class S> DEVICE void mul(S *dst, const S *a, const S *b, i64 n) {
  combine(dst, a, b, n, [](float x, float y) { return x * y; });
}
STORED(mul, (S *dst, const S *a, const S *b, i64 n), (dst, a, b, n))

template <class S> DEVICE void swiglu(S *dst, const S *gate, const S *up, i64 n) {
  combine(dst, gate, up, n, [](float g, float u) { return g * sigmoidOf<S>(g) * u; });
}
STORED(swiglu, (S *dst, const S *gate, const S *up, i64 n), (dst, gate, up, n))

template <class S> DEVICE void scale(S *dst, const S *a, i64 n, float s) {
  eachSpan<S>(n, aligned(dst) && aligned(a), [=](i64 i, auto c) {
    Floats<c.n> x = load<c.n>(a + i);
    UNROLL for (int k = 0; k < c.n; k++) x.at[k] = s * x.at[k];
    store<c.n>(dst + i, x);
  });
}
STORED(scale, (S *dst, const S *a, i64 n, float s), (dst, a, n, s))

template <class S> DEVICE void scale_by(S *dst, const S *a, const float *s, i64 n) { scale(dst, a, n, s[0]); }
STORED(scale_by, (S *dst, const S *a, const float *s, i64 n), (dst, a, s, n))

// With s = sigmoid(gate), dup = dy·gate·s and dgate = dy·up·s·(1 + gate·(1−s)).
template <class S> DEVICE void swiglu_grad(S *dgate, S *dup, const S *gate, const S *up, const S *dy, i64 n) {
  bool all = aligned(dgate) && aligned(dup) && aligned(gate) && aligned(up) && aligned(dy);
  eachSpan<S>(n, all, [=](i64 i, auto c) {
    Floats<c.n> g = load<c.n>(gate + i), u = load<c.n>(up + i), y = load<c.n>(dy + i);
    UNROLL for (int k = 0; k < c.n; k++) {
      float a = g.at[k], b = u.at[k], d = y.at[k], s = sigmoidOf<S>(a);
      g.at[k] = d * b * s * (1.0f + a * (1.0f - s));
      u.at[k] = d * a * s;
    }
    store<c.n>(dgate + i, g);
    store<c.n>(dup + i, u);
  });
}
STORED(swiglu_grad, (S *dgate, S *dup, const S *gate, const S *up, const S *dy, i64 n), (dgate, dup, gate, up, dy, n))

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), one counter to
// four elements.
struct Lanes {
  u32 at[4];
};

DEVICE Lanes philox(u32 counter, u32 stream, const int *key) {
  u32 c0 = counter, c1 = 0, c2 = stream, c3 = 0, k0 = (u32)key[0], k1 = (u32)key[1];
  UNROLL for (int round = 0; round < 10; round++) {
    u64 p0 = (u64)0xD2511F53u * c0, p1 = (u64)0xCD9E8D57u * c2;
    c0 = (u32)(p1 >> 32) ^ c1 ^ k0;
    c1 = (u32)p1;
    c2 = (u32)(p0 >> 32) ^ c3 ^ k1;
    c3 = (u32)p0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// An element is kept where its lane is at least threshold. A thread takes 16 bytes, or four elements
// where they are not aligned.
template <class S>
DEVICE void dropout(S *dst, const S *x, const int *key, i64 n, u32 stream, u32 threshold, float inverse) {
  const int W = wide<S>();
  bool all = aligned(dst) && aligned(x);
  i64 done = all ? n / W : 0;
  for (i64 p = globalThread(); p < done; p += allThreads()) {
    Floats<W> v = load<W>(x + p * W);
    UNROLL for (int q = 0; q < W / 4; q++) {
      Lanes lanes = philox((u32)(p * (W / 4) + q), stream, key);
      UNROLL for (int k = 0; k < 4; k++) v.at[4 * q + k] = lanes.at[k] >= threshold ? v.at[4 * q + k] * inverse : 0.0f;
    }
    store<W>(dst + p * W, v);
  }
  for (i64 q = done * (W / 4) + globalThread(); q < (n + 3) / 4; q += allThreads()) {
    Lanes lanes = philox((u32)q, stream, key);
    UNROLL for (int k = 0; k < 4; k++) {
      i64 i = 4 * q + k;
      if (i < n) dst[i] = (S)(lanes.at[k] >= threshold ? (float)x[i] * inverse : 0.0f);
    }
  }
}
STORED(dropout, (S *dst, const S *x, const int *key, i64 n, u32 stream, u32 threshold, float inverse),
       (dst, x, key, n, stream, threshold, inverse))

// One step of AdamW (Loshchilov & Hutter 2019), decay first, as PyTorch does it. rate is
// lr/(1−beta1^t) and root 1/sqrt(1−beta2^t).
KERNEL void BOUNDS(256) adamw(float *p, const float *g, float *m, float *v, i64 n, float decay, float beta1,
                              float other1, float beta2, float other2, float rate, float root, float eps) {
  for (i64 i = globalThread(); i < n; i += allThreads()) {
    float gi = g[i];
    float mi = beta1 * m[i] + other1 * gi;
    float vi = beta2 * v[i] + other2 * gi * gi;
    m[i] = mi;
    v[i] = vi;
    p[i] = p[i] * decay - rate * mi / (__builtin_sqrtf(vi) * root + eps);
  }
}

// Copies from one float type to another.
template <class D, class S> DEVICE void convert(D *dst, const S *src, i64 n) {
  const int N = isNarrow<D>() && isNarrow<S>() ? 8 : 4;
  bool all = aligned(dst) && aligned(src);
  i64 done = all ? n / N : 0;
  for (i64 p = globalThread(); p < done; p += allThreads()) store<N>(dst + N * p, load<N>(src + N * p));
  for (i64 i = done * N + globalThread(); i < n; i += allThreads()) dst[i] = (D)(float)src[i];
}
#define CONVERT(from, to) \
  KERNEL void BOUNDS(256) copy_##from##_##to(of_##to::S *dst, const of_##from::S *src, i64 n) { convert(dst, src, n); }
CONVERT(f32, bf16)
CONVERT(f32, f16)
CONVERT(bf16, f32)
CONVERT(bf16, f16)
CONVERT(f16, f32)
CONVERT(f16, bf16)
