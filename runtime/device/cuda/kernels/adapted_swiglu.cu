// SwiGLU and its gradient over sums with the products of adapters, which are computed on the way and never lie in
// memory: x + s·a·bᵀ with a[T,R] and b[N,R] in 16 bits and R of at most 64.
//
// A warp takes 16 rows and 32 columns at once. Both orders of the products' tiles are free, that of the columns and that
// of the R terms of a sum: a lane has eight columns beside each other of each of two rows, and R/4 terms beside each
// other, so that all it reads and writes are whole spans.
#include "tensor.h"

// A lane's terms of a row of a or b.
template <int R> struct Terms {
  static const int steps = R < 16 ? 1 : R / 16;
  u32 at[2 * steps];
};

template <class S, int R> DEVICE Terms<R> terms(const S *row) {
  Terms<R> v;
  if constexpr (R == 8) {
    v.at[0] = *(const u32 *)row;
    v.at[1] = 0;
  } else if constexpr (R == 16) {
    Words<4> w = *(const Words<4> *)row;
    v.at[0] = w[0];
    v.at[1] = w[1];
  } else {
    UNROLL for (int i = 0; i < R / 32; i++) {
      words4 w = *(const words4 *)(row + 8 * i);
      UNROLL for (int k = 0; k < 4; k++) v.at[4 * i + k] = w[k];
    }
  }
  return v;
}

// Product is s·a·bᵀ as a warp needs it: rows `top` and `bottom` of a, eight apart. There is none where b is null.
template <class S, int R> struct Product {
  Terms<R> top, bottom;
  const S *b;
  float s;
};

template <class S, int R> DEVICE Product<S, R> product(const S *a, const S *b, float s, int top, int bottom) {
  Product<S, R> p;
  p.b = 0;
  p.s = s;
  if (a) {
    int group = lane() / 4, mine = lane() % 4 * (R / 4);
    p.top = terms<S, R>(a + (i64)top * R + mine);
    p.bottom = terms<S, R>(a + (i64)bottom * R + mine);
    p.b = b + (group / 2 * 8 + group % 2) * R + mine;
  }
  return p;
}

// v += the product in two columns of both rows, of the 32 columns from `from` on.
template <class S, int R> DEVICE void plus(float (&v)[4], const Product<S, R> &p, int from, int pair) {
  if (!p.b) return;
  float c[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  Terms<R> column = terms<S, R>(p.b + (i64)(from + 2 * pair) * R);
  UNROLL for (int k = 0; k < Terms<R>::steps; k++) {
    u32 a[4] = {p.top.at[2 * k], p.bottom.at[2 * k], p.top.at[2 * k + 1], p.bottom.at[2 * k + 1]};
    multiply<S>(c, a, column.at[2 * k], column.at[2 * k + 1]);
  }
  UNROLL for (int k = 0; k < 4; k++) v[k] = __builtin_fmaf(p.s, c[k], v[k]);
}

// Span is eight columns of two rows.
struct Span {
  words4 top, bottom;
};

template <class S> DEVICE Span read(const S *p, i64 top, i64 bottom) {
  return {*(const words4 *)(p + top), *(const words4 *)(p + bottom)};
}

// pairOf is two columns of both rows.
template <class S> DEVICE void pairOf(const Span &x, int pair, float (&v)[4]) {
  split<S>(x.top[pair], &v[0], &v[1]);
  split<S>(x.bottom[pair], &v[2], &v[3]);
}

template <class S> DEVICE void setPair(Span &x, int pair, const float (&v)[4]) {
  x.top[pair] = join<S>(v[0], v[1]);
  x.bottom[pair] = join<S>(v[2], v[3]);
}

// Place is the rows of a lane: those past the last are read as the last and not written.
struct Place {
  int top, bottom;
  bool hasTop, hasBottom;
};

DEVICE Place place(int T) {
  int row = (blockX() * (threads() / 32) + warp()) * 16 + lane() / 4;
  return {least(row, T - 1), least(row + 8, T - 1), row < T, row + 8 < T};
}

template <class S> DEVICE void write(S *p, const Place &rows, i64 top, i64 bottom, const Span &x) {
  if (rows.hasTop) *(words4 *)(p + top) = x.top;
  if (rows.hasBottom) *(words4 *)(p + bottom) = x.bottom;
}

// dst = silu(gate + gs·ga·gbᵀ)·(up + us·ua·ubᵀ). blockY takes `width` columns, of which there are 32 or more.
template <class S, int R>
DEVICE void adapted_swiglu(S *dst, const S *gate, const S *up, const S *ga, const S *gb, float gs, const S *ua,
                           const S *ub, float us, int T, int N, int width) {
  Place rows = place(T);
  Product<S, R> gates = product<S, R>(ga, gb, gs, rows.top, rows.bottom);
  Product<S, R> ups = product<S, R>(ua, ub, us, rows.top, rows.bottom);
  int to = least(N, (blockY() + 1) * width);
  _Pragma("nounroll") for (int from = blockY() * width; from < to; from += 32) {
    i64 high = (i64)rows.top * N + from + lane() % 4 * 8, low = (i64)rows.bottom * N + from + lane() % 4 * 8;
    Span g = read(gate, high, low), u = read(up, high, low);
    UNROLL for (int pair = 0; pair < 4; pair++) {
      float x[4], y[4];
      pairOf<S>(g, pair, x);
      pairOf<S>(u, pair, y);
      plus(x, gates, from, pair);
      plus(y, ups, from, pair);
      UNROLL for (int k = 0; k < 4; k++) x[k] = x[k] * sigmoidOf<S>(x[k]) * y[k];
      setPair<S>(g, pair, x);
    }
    write(dst, rows, high, low, g);
  }
}

// swiglu_grad of gate + gs·ga·gbᵀ, up + us·ua·ubᵀ and dy + ys·ya·ybᵀ.
template <class S, int R>
DEVICE void adapted_swiglu_grad(S *dgate, S *dup, const S *gate, const S *up, const S *dy, const S *ga, const S *gb,
                                float gs, const S *ua, const S *ub, float us, const S *ya, const S *yb, float ys, int T,
                                int N, int width) {
  Place rows = place(T);
  Product<S, R> gates = product<S, R>(ga, gb, gs, rows.top, rows.bottom);
  Product<S, R> ups = product<S, R>(ua, ub, us, rows.top, rows.bottom);
  Product<S, R> grads = product<S, R>(ya, yb, ys, rows.top, rows.bottom);
  int to = least(N, (blockY() + 1) * width);
  _Pragma("nounroll") for (int from = blockY() * width; from < to; from += 32) {
    i64 high = (i64)rows.top * N + from + lane() % 4 * 8, low = (i64)rows.bottom * N + from + lane() % 4 * 8;
    Span g = read(gate, high, low), u = read(up, high, low), d = read(dy, high, low);
    UNROLL for (int pair = 0; pair < 4; pair++) {
      float x[4], y[4], z[4];
      pairOf<S>(g, pair, x);
      pairOf<S>(u, pair, y);
      pairOf<S>(d, pair, z);
      plus(x, gates, from, pair);
      plus(y, ups, from, pair);
      plus(z, grads, from, pair);
      UNROLL for (int k = 0; k < 4; k++) {
        float s = sigmoidOf<S>(x[k]), a = x[k];
        x[k] = z[k] * y[k] * s * (1.0f + a * (1.0f - s));
        y[k] = z[k] * a * s;
      }
      setPair<S>(g, pair, x);
      setPair<S>(u, pair, y);
    }
    write(dgate, rows, high, low, g);
    write(dup, rows, high, low, u);
  }
}

// dst[n,r] = src[r,n], of two bytes each, R a multiple of 8. A thread to eight elements of a column.
KERNEL void BOUNDS(256) turn_narrow(unsigned short *dst, const unsigned short *src, int N, int R) {
  int n = blockX() * threads() + thread(), r = blockY() * 8;
  if (n >= N) return;
  words4 w;
  UNROLL for (int k = 0; k < 4; k++)
    w[k] = (u32)src[(i64)(r + 2 * k) * N + n] | (u32)src[(i64)(r + 2 * k + 1) * N + n] << 16;
  *(words4 *)(dst + (i64)n * R + r) = w;
}

#define ADAPTED_AS(type, rank)                                                                                         \
  namespace of_##type {                                                                                                \
  KERNEL void PAIRED(256) adapted_swiglu_##rank##_##type(S *dst, const S *gate, const S *up, const S *ga, const S *gb, \
                                                         float gs, const S *ua, const S *ub, float us, int T, int N,   \
                                                         int width) {                                                  \
    adapted_swiglu<S, rank>(dst, gate, up, ga, gb, gs, ua, ub, us, T, N, width);                                       \
  }                                                                                                                    \
  KERNEL void BOUNDS(128) adapted_swiglu_grad_##rank##_##type(                                                         \
      S *dgate, S *dup, const S *gate, const S *up, const S *dy, const S *ga, const S *gb, float gs, const S *ua,      \
      const S *ub, float us, const S *ya, const S *yb, float ys, int T, int N, int width) {                            \
    adapted_swiglu_grad<S, rank>(dgate, dup, gate, up, dy, ga, gb, gs, ua, ub, us, ya, yb, ys, T, N, width);           \
  }                                                                                                                    \
  }
#define ADAPTED(rank) ADAPTED_AS(bf16, rank) ADAPTED_AS(f16, rank)
ADAPTED(8)
ADAPTED(16)
ADAPTED(32)
ADAPTED(64)
