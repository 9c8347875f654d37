// SwiGLU and its gradient over sums with the products of adapters, which are computed on the way and never lie in
// memory: x + s·a·bᵀ with a[T,R] and b[N,R] in 16 bits and R of at most 64.
//
// A warp takes 16 rows and 32 columns at once. Both orders of the products' tiles are free, that of the columns and that
// of the R terms of a sum: a lane has eight columns beside each other of each of two rows, and R/4 terms beside each
// other, so that all it reads and writes are whole spans.
#include "tensor.h"
#include "copy.h"

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

// Product is s·a·bᵀ as a warp needs it: rows `top` and `bottom` of a, eight apart, zeros where there is no a. b is read
// even then, since a branch for each would keep the reads from overlapping.
template <class S, int R> struct Product {
  Terms<R> top, bottom;
  float s;
};

template <class S, int R> DEVICE Product<S, R> product(const S *a, float s, int top, int bottom) {
  Product<S, R> p = {};
  p.s = s;
  if (a) {
    int mine = lane() % 4 * (R / 4);
    p.top = terms<S, R>(a + (i64)top * R + mine);
    p.bottom = terms<S, R>(a + (i64)bottom * R + mine);
  }
  return p;
}

// Tiles are 32 rows of each of `count` matrices b in shared memory, with those to come beside them. Of rows of 128 bytes
// every second one has its 16 bytes exchanged with their neighbours, so that two rows meet no bank twice.
template <class S, int R> struct Tiles {
  static const int chunks = 32 * R / 8; // of 16 bytes
};

template <int R> DEVICE int swizzled(int row, int chunk) { return row * (R / 8) + (R == 64 ? chunk ^ (row & 1) : chunk); }

template <class S, int R> DEVICE void fetch(u32 to, const S *b, int from) {
  for (int i = thread(); i < Tiles<S, R>::chunks; i += threads()) {
    int row = i / (R / 8), chunk = i % (R / 8);
    copy16(to + 16 * swizzled<R>(row, chunk), b + (i64)(from + row) * R + 8 * chunk, 16);
  }
}

// v += the product in two columns of both rows, with the 32 rows of b in `tile`.
template <class S, int R> DEVICE void plus(float (&v)[4], const Product<S, R> &p, const char *tile, int pair) {
  float c[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  int group = lane() / 4, row = group / 2 * 8 + group % 2 + 2 * pair;
  Terms<R> column;
  if constexpr (R == 64) {
    UNROLL for (int i = 0; i < 2; i++) {
      words4 w = *(const words4 *)(tile + 16 * swizzled<R>(row, lane() % 4 * 2 + i));
      UNROLL for (int k = 0; k < 4; k++) column.at[4 * i + k] = w[k];
    }
  } else {
    column = terms<S, R>((const S *)tile + row * R + lane() % 4 * (R / 4));
  }
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

// eachTile calls f(from, at, tiles) for the columns of blockY's share, 32 at once, with the rows of `count` matrices b in
// shared memory, one after the other from tiles on; the next ones are on their way meanwhile.
template <class S, int R, int COUNT, class F>
DEVICE void eachTile(const S *const (&b)[COUNT], int N, int width, F f) {
  SHARED static __attribute__((aligned(128))) char memory[2][COUNT][16 * Tiles<S, R>::chunks];
  int first = blockY() * width, to = least(N, first + width);
  u32 base = sharedAddress(&memory[0][0][0]);
  auto ahead = [&](int from, int side) {
    UNROLL for (int i = 0; i < COUNT; i++) fetch<S, R>(base + (side * COUNT + i) * 16 * Tiles<S, R>::chunks, b[i], from);
  };
  ahead(first, 0);
  int side = 0;
  _Pragma("nounroll") for (int from = first; from < to; from += 32) {
    wait(); // for this tile, and for all to be done with the one before
    if (from + 32 < to) ahead(from + 32, side ^ 1);
    f(from, to, &memory[side][0][0]);
    side ^= 1;
  }
}

// dst = silu(gate + gs·ga·gbᵀ)·(up + us·ua·ubᵀ). blockY takes `width` columns, of which there are 32 or more.
template <class S, int R>
DEVICE void adapted_swiglu(S *dst, const S *gate, const S *up, const S *ga, const S *gb, float gs, const S *ua,
                           const S *ub, float us, int T, int N, int width) {
  Place rows = place(T);
  Product<S, R> gates = product<S, R>(ga, gs, rows.top, rows.bottom);
  Product<S, R> ups = product<S, R>(ua, us, rows.top, rows.bottom);
  i64 top = (i64)rows.top * N + lane() % 4 * 8, bottom = (i64)rows.bottom * N + lane() % 4 * 8;
  int first = blockY() * width;
  Span g = read(gate, top + first, bottom + first), u = read(up, top + first, bottom + first);
  const S *const b[2] = {gb, ub};
  eachTile<S, R>(b, N, width, [&](int from, int to, const char *tile) {
    int next = from + 32 < to ? from + 32 : from; // read ahead
    Span ng = read(gate, top + next, bottom + next), nu = read(up, top + next, bottom + next);
    UNROLL for (int pair = 0; pair < 4; pair++) {
      float x[4], y[4];
      pairOf<S>(g, pair, x);
      pairOf<S>(u, pair, y);
      plus(x, gates, tile, pair);
      plus(y, ups, tile + 16 * Tiles<S, R>::chunks, pair);
      UNROLL for (int k = 0; k < 4; k++) x[k] = x[k] * sigmoidOf<S>(x[k]) * y[k];
      setPair<S>(g, pair, x);
    }
    write(dst, rows, top + from, bottom + from, g);
    g = ng;
    u = nu;
  });
}

// swiglu_grad of gate + gs·ga·gbᵀ, up + us·ua·ubᵀ and dy + ys·ya·ybᵀ.
template <class S, int R>
DEVICE void adapted_swiglu_grad(S *dgate, S *dup, const S *gate, const S *up, const S *dy, const S *ga, const S *gb,
                                float gs, const S *ua, const S *ub, float us, const S *ya, const S *yb, float ys, int T,
                                int N, int width) {
  Place rows = place(T);
  Product<S, R> gates = product<S, R>(ga, gs, rows.top, rows.bottom);
  Product<S, R> ups = product<S, R>(ua, us, rows.top, rows.bottom);
  Product<S, R> grads = product<S, R>(ya, ys, rows.top, rows.bottom);
  i64 top = (i64)rows.top * N + lane() % 4 * 8, bottom = (i64)rows.bottom * N + lane() % 4 * 8;
  const S *const b[3] = {gb, ub, yb};
  eachTile<S, R>(b, N, width, [&](int from, int, const char *tile) {
    i64 high = top + from, low = bottom + from;
    Span g = read(gate, high, low), u = read(up, high, low), d = read(dy, high, low);
    UNROLL for (int pair = 0; pair < 4; pair++) {
      float x[4], y[4], z[4];
      pairOf<S>(g, pair, x);
      pairOf<S>(u, pair, y);
      pairOf<S>(d, pair, z);
      plus(x, gates, tile, pair);
      plus(y, ups, tile + 16 * Tiles<S, R>::chunks, pair);
      plus(z, grads, tile + 32 * Tiles<S, R>::chunks, pair);
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
  });
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
