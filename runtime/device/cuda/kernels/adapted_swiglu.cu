// SwiGLU and its gradient over sums with the products of adapters, which are computed on the way and never lie in
// memory: x + s·a·bᵀ with a[T,R] and b[N,R] in 16 bits and R of at most 64.
//
// A block takes 256 columns, a warp 32 of them and 16 rows at once, down the rows: what it reads and writes of a row is
// 512 bytes, without which memory is slow, and the rows of b that it needs stay in shared memory. Both orders of the
// products' tiles are free, that of the columns and that of the R terms of a sum: a lane has eight columns beside each
// other of each of two rows, and R/4 terms beside each other, so that all it reads and writes are whole spans.
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

// Rows of a or b in shared memory lie in chunks of 16 bytes. Of rows of 128 bytes every second one has its chunks
// exchanged with their neighbours, so that two rows meet no bank twice.
template <int R> DEVICE int swizzled(int row, int chunk) { return row * (R / 8) + (R == 64 ? chunk ^ (row & 1) : chunk); }

// fetch starts copying `rows` rows of R elements; those from `last` on are copies of it.
template <class S, int R> DEVICE void fetch(u32 to, const S *from, int first, int last, int rows) {
  for (int i = thread(); i < rows * (R / 8); i += threads()) {
    int row = i / (R / 8), chunk = i % (R / 8);
    copy16(to + 16 * swizzled<R>(row, chunk), from + (i64)least(first + row, last) * R + 8 * chunk, 16);
  }
}

// shared is a lane's terms of a row in shared memory.
template <class S, int R> DEVICE Terms<R> shared(const char *rows, int row) {
  if constexpr (R == 64) {
    Terms<R> v;
    UNROLL for (int i = 0; i < 2; i++) {
      words4 w = *(const words4 *)(rows + 16 * swizzled<R>(row, lane() % 4 * 2 + i));
      UNROLL for (int k = 0; k < 4; k++) v.at[4 * i + k] = w[k];
    }
    return v;
  } else {
    return terms<S, R>((const S *)rows + row * R + lane() % 4 * (R / 4));
  }
}

// Product is s·a·bᵀ as a warp needs it: rows of a eight apart, and the 32 rows of b.
template <int R> struct Product {
  Terms<R> top, bottom;
  const char *b;
  float s;
};

// v += the product in two columns of both rows.
template <class S, int R> DEVICE void plus(float (&v)[4], const Product<R> &p, int pair) {
  float c[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  int group = lane() / 4;
  Terms<R> column = shared<S, R>(p.b, group / 2 * 8 + group % 2 + 2 * pair);
  UNROLL for (int k = 0; k < Terms<R>::steps; k++) {
    u32 a[4] = {p.top.at[2 * k], p.bottom.at[2 * k], p.top.at[2 * k + 1], p.bottom.at[2 * k + 1]};
    multiply<S>(c, a, column.at[2 * k], column.at[2 * k + 1]);
  }
  UNROLL for (int k = 0; k < 4; k++) v[k] = __builtin_fmaf(p.s, c[k], v[k]);
}

// Term is s·a·bᵀ in memory.
template <class S> struct Term {
  const S *a, *b;
  float s;
};

extern SHARED __attribute__((aligned(128))) char memory[];

static const int blockColumns = 256, tileRows = 16;

// eachTile calls f(top, bottom, products) for the lane's rows of each tile of blockY's `share` of rows. The rows of a for
// the next tile are on their way meanwhile.
template <class S, int R, int COUNT, class F>
DEVICE void eachTile(const Term<S> (&terms)[COUNT], int T, int N, int share, F f) {
  const int a = tileRows * R * 2, b = blockColumns * R * 2; // bytes
  int first = blockY() * share, to = least(T, first + share), columns = blockX() * blockColumns;
  u32 base = sharedAddress(memory);
  auto ahead = [&](int from, int side) {
    UNROLL for (int i = 0; i < COUNT; i++)
      fetch<S, R>(base + COUNT * b + (side * COUNT + i) * a, terms[i].a, from, T - 1, tileRows);
  };
  UNROLL for (int i = 0; i < COUNT; i++) fetch<S, R>(base + i * b, terms[i].b, columns, N - 1, blockColumns);
  ahead(first, 0);
  int side = 0;
  _Pragma("nounroll") for (int from = first; from < to; from += tileRows) {
    wait(); // for this tile, and for all to be done with the one before
    if (from + tileRows < to) ahead(from + tileRows, side ^ 1);
    if (columns + warp() * 32 < N) {
      Product<R> products[COUNT];
      UNROLL for (int i = 0; i < COUNT; i++) {
        const char *rows = memory + COUNT * b + (side * COUNT + i) * a;
        products[i] = {shared<S, R>(rows, lane() / 4), shared<S, R>(rows, lane() / 4 + 8), memory + i * b + warp() * 32 * R * 2, terms[i].s};
      }
      f(from, products);
    }
    side ^= 1;
  }
}

// Span is eight columns of two rows.
struct Span {
  words4 top, bottom;
};

// pairOf is two columns of both rows.
template <class S> DEVICE void pairOf(const Span &x, int pair, float (&v)[4]) {
  split<S>(x.top[pair], &v[0], &v[1]);
  split<S>(x.bottom[pair], &v[2], &v[3]);
}

template <class S> DEVICE void setPair(Span &x, int pair, const float (&v)[4]) {
  x.top[pair] = join<S>(v[0], v[1]);
  x.bottom[pair] = join<S>(v[2], v[3]);
}

// Place is where a lane reads and writes: rows past the last are read as the last and not written.
struct Place {
  i64 top, bottom;
  bool hasTop, hasBottom;
};

DEVICE Place place(int from, int T, int N) {
  int row = from + lane() / 4, column = blockX() * blockColumns + warp() * 32 + lane() % 4 * 8;
  return {(i64)least(row, T - 1) * N + column, (i64)least(row + 8, T - 1) * N + column, row < T, row + 8 < T};
}

template <class S> DEVICE Span read(const S *p, const Place &at) {
  return {*(const words4 *)(p + at.top), *(const words4 *)(p + at.bottom)};
}

template <class S> DEVICE void write(S *p, const Place &at, const Span &x) {
  if (at.hasTop) *(words4 *)(p + at.top) = x.top;
  if (at.hasBottom) *(words4 *)(p + at.bottom) = x.bottom;
}

// dst = silu(gate + gs·ga·gbᵀ)·(up + us·ua·ubᵀ). N is a multiple of 32; blockY takes `share` rows, a multiple of 16.
template <class S, int R>
DEVICE void adapted_swiglu(S *dst, const S *gate, const S *up, const S *ga, const S *gb, float gs, const S *ua,
                           const S *ub, float us, int T, int N, int share) {
  const Term<S> terms[2] = {{ga, gb, gs}, {ua, ub, us}};
  eachTile<S, R>(terms, T, N, share, [&](int from, const Product<R> (&products)[2]) {
    Place at = place(from, T, N);
    Span g = read(gate, at), u = read(up, at);
    UNROLL for (int pair = 0; pair < 4; pair++) {
      float x[4], y[4];
      pairOf<S>(g, pair, x);
      pairOf<S>(u, pair, y);
      plus<S>(x, products[0], pair);
      plus<S>(y, products[1], pair);
      UNROLL for (int k = 0; k < 4; k++) x[k] = x[k] * sigmoidOf<S>(x[k]) * y[k];
      setPair<S>(g, pair, x);
    }
    write(dst, at, g);
  });
}

// swiglu_grad of gate + gs·ga·gbᵀ, up + us·ua·ubᵀ and dy + ys·ya·ybᵀ.
template <class S, int R>
DEVICE void adapted_swiglu_grad(S *dgate, S *dup, const S *gate, const S *up, const S *dy, const S *ga, const S *gb,
                                float gs, const S *ua, const S *ub, float us, const S *ya, const S *yb, float ys, int T,
                                int N, int share) {
  const Term<S> terms[3] = {{ga, gb, gs}, {ua, ub, us}, {ya, yb, ys}};
  eachTile<S, R>(terms, T, N, share, [&](int from, const Product<R> (&products)[3]) {
    Place at = place(from, T, N);
    Span g = read(gate, at), u = read(up, at), d = read(dy, at);
    UNROLL for (int pair = 0; pair < 4; pair++) {
      float x[4], y[4], z[4];
      pairOf<S>(g, pair, x);
      pairOf<S>(u, pair, y);
      pairOf<S>(d, pair, z);
      plus<S>(x, products[0], pair);
      plus<S>(y, products[1], pair);
      plus<S>(z, products[2], pair);
      UNROLL for (int k = 0; k < 4; k++) {
        float s = sigmoidOf<S>(x[k]), a = x[k];
        x[k] = z[k] * y[k] * s * (1.0f + a * (1.0f - s));
        y[k] = z[k] * a * s;
      }
      setPair<S>(g, pair, x);
      setPair<S>(u, pair, y);
    }
    write(dgate, at, g);
    write(dup, at, u);
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
                                                         int share) {                                                  \
    adapted_swiglu<S, rank>(dst, gate, up, ga, gb, gs, ua, ub, us, T, N, share);                                       \
  }                                                                                                                    \
  KERNEL void PAIRED(256) adapted_swiglu_grad_##rank##_##type(                                                         \
      S *dgate, S *dup, const S *gate, const S *up, const S *dy, const S *ga, const S *gb, float gs, const S *ua,      \
      const S *ub, float us, const S *ya, const S *yb, float ys, int T, int N, int share) {                            \
    adapted_swiglu_grad<S, rank>(dgate, dup, gate, up, dy, ga, gb, gs, ua, ub, us, ya, yb, ys, T, N, share);           \
  }                                                                                                                    \
  }
#define ADAPTED(rank) ADAPTED_AS(bf16, rank) ADAPTED_AS(f16, rank)
ADAPTED(8)
ADAPTED(16)
ADAPTED(32)
ADAPTED(64)
