// Reductions. Each block sums a span that depends on the size alone; sum_partials adds the spans in
// double precision. The order of every addition is fixed. Within a span float32 is summed in double
// precision, narrow types in float32, which many cards do 64 times as fast.
#include "storage.h"

template <class S> using Real = typename Sum<S>::type;

// part[block] = Σ a·b over the block's span.
template <class S> DEVICE void dot_partials(double *part, const S *a, const S *b, i64 n, i64 span) {
  typedef Real<S> R;
  SHARED static R scratch[32];
  i64 from = blockX() * span, to = from + span < n ? from + span : n;
  R s[4] = {0, 0, 0, 0};
  i64 i = from + thread();
  for (; i + 768 < to; i += 1024)
    UNROLL for (int k = 0; k < 4; k++) s[k] += (R)a[i + 256 * k] * (R)b[i + 256 * k];
  for (; i < to; i += 256) s[0] += (R)a[i] * (R)b[i];
  R sum = blockSum((s[0] + s[1]) + (s[2] + s[3]), scratch);
  if (thread() == 0) part[blockX()] = (double)sum;
}
STORED(dot_partials, (double *part, const S *a, const S *b, i64 n, i64 span), (part, a, b, n, span))

// dst[column] = factor · Σ_i part[i·columns + column]; one block to a column.
KERNEL void sum_partials(float *dst, const double *part, int count, int columns, double factor) {
  SHARED static double scratch[32];
  double s = 0.0;
  for (i64 i = thread(); i < count; i += threads()) s += part[i * columns + blockX()];
  s = blockSum(s, scratch);
  if (thread() == 0) dst[blockX()] = (float)(s * factor);
}

// columnSums: part[y·N + n] = Σ_t f(t, n) over the rows of block y; a thread takes 16 bytes of columns
// where they are aligned, one column elsewhere, each in order of t. f(t, n, Count) gives a span.
template <class S, class F> DEVICE void columnSums(double *part, int T, int N, int rows, bool all, F f) {
  typedef Real<S> R;
  int from = blockY() * rows, to = least(T, from + rows);
  auto sums = [&](auto c) {
    i64 n = globalThread() * c.n;
    if (n >= N) return;
    R s[c.n];
    UNROLL for (int k = 0; k < c.n; k++) s[k] = 0;
    for (int t = from; t < to; t++) f(s, t, n, c);
    UNROLL for (int k = 0; k < c.n; k++) part[(i64)blockY() * N + n + k] = (double)s[k];
  };
  if constexpr (isNarrow<S>()) {
    if (all && N % 8 == 0) return sums(Count<8>());
  }
  sums(Count<1>());
}

// part[y·N + n] = Σ a[t,n] over the rows of block y.
template <class S> DEVICE void column_partials(double *part, const S *a, int T, int N, int rows) {
  columnSums<S>(part, T, N, rows, aligned(a), [=](auto &s, int t, i64 n, auto c) {
    Floats<c.n> v = load<c.n>(a + (i64)t * N + n);
    UNROLL for (int k = 0; k < c.n; k++) s[k] += (Real<S>)v.at[k];
  });
}
STORED(column_partials, (double *part, const S *a, int T, int N, int rows), (part, a, T, N, rows))

// part[y·N + n] = Σ a[t,n]·b[t,n]·r[t] over the rows of block y.
template <class S>
DEVICE void weighted_partials(double *part, const S *a, const S *b, const float *r, int T, int N, int rows) {
  columnSums<S>(part, T, N, rows, aligned(a) && aligned(b), [=](auto &s, int t, i64 n, auto c) {
    Floats<c.n> v = load<c.n>(a + (i64)t * N + n), w = load<c.n>(b + (i64)t * N + n);
    UNROLL for (int k = 0; k < c.n; k++) s[k] += (Real<S>)v.at[k] * (Real<S>)w.at[k] * (Real<S>)r[t];
  });
}
STORED(weighted_partials, (double *part, const S *a, const S *b, const float *r, int T, int N, int rows),
       (part, a, b, r, T, N, rows))

// part[block·64 + 8i + j] = Σ y_i·x_j over the 8-vectors of the block's span; four groups of 64
// threads take every fourth vector.
KERNEL void BOUNDS(256) outer_partials_f32(double *part, const float *x, const float *y, i64 vectors, i64 span) {
  SHARED static double scratch[256];
  i64 from = blockX() * span, to = from + span < vectors ? from + span : vectors;
  int at = thread() % 64;
  double s = 0.0;
  for (i64 v = from + thread() / 64; v < to; v += 4) s += (double)y[v * 8 + at / 8] * (double)x[v * 8 + at % 8];
  scratch[thread()] = s;
  __syncthreads();
  if (thread() < 64)
    part[(i64)blockX() * 64 + at] = (scratch[at] + scratch[at + 64]) + (scratch[at + 128] + scratch[at + 192]);
}

// 64 sums; a vector rather than an array, which clang would leave in memory.
typedef float Sums __attribute__((ext_vector_type(64)));

// halve adds the first 2H sums of a warp's lanes by halves: with each exchange a lane keeps half of its
// sums, until two are left to each, those of 2·lane and 2·lane+1.
template <int H> DEVICE void halve(Sums &s, int lane) {
  const int mask = H / 2;
  bool upper = (lane & mask) != 0;
  UNROLL for (int k = 0; k < H; k++) {
    float keep = upper ? s[k + H] : s[k], send = upper ? s[k] : s[k + H];
    s[k] = keep + exchange(send, mask);
  }
  if constexpr (H > 2) halve<H / 2>(s, lane);
}

// The same for narrow types: a thread takes whole vectors and keeps all 64 sums.
template <class S> DEVICE void outer_partials(double *part, const S *x, const S *y, i64 vectors, i64 span) {
  SHARED static float scratch[8][64];
  i64 from = blockX() * span, to = from + span < vectors ? from + span : vectors;
  bool whole = aligned(x) && aligned(y);
  Sums s = 0.0f;
  for (i64 v = from + thread(); v < to; v += 256) {
    Floats<8> a = ::part<8>(y + v * 8, 8, whole), b = ::part<8>(x + v * 8, 8, whole);
    UNROLL for (int k = 0; k < 64; k++) s[k] = __builtin_fmaf(a.at[k / 8], b.at[k % 8], s[k]);
  }
  int lane = thread() % 32;
  halve<32>(s, lane);
  scratch[thread() / 32][2 * lane] = s[0];
  scratch[thread() / 32][2 * lane + 1] = s[1];
  __syncthreads();
  if (thread() >= 64) return;
  float sum = 0.0f;
  UNROLL for (int w = 0; w < 8; w++) sum += scratch[w][thread()];
  part[(i64)blockX() * 64 + thread()] = (double)sum;
}
NARROW(outer_partials, (double *part, const S *x, const S *y, i64 vectors, i64 span), (part, x, y, vectors, span))

// part[t] = Σ_d (h[t] − 2h[t−1] + h[t−2])², 0 where t has no two predecessors in its sequence.
template <class S> DEVICE void pet_partials(double *part, const S *h, const int *lo, int D) {
  typedef Real<S> R;
  SHARED static R scratch[32];
  int t = blockX();
  if (t - 2 < lo[t]) {
    if (thread() == 0) part[t] = 0.0;
    return;
  }
  const S *a = h + (i64)t * D, *b = a - D, *c = b - D;
  const int W = Sum<S>::span;
  bool whole = W == 1 || (D % W == 0 && aligned(h));
  R s = 0;
  for (int i = thread() * W; i < D; i += threads() * W) {
    Floats<W> p = ::part<W>(a + i, D - i, whole), q = ::part<W>(b + i, D - i, whole), r = ::part<W>(c + i, D - i, whole);
    UNROLL for (int k = 0; k < W; k++) {
      R v = (R)p.at[k] - (R)2 * (R)q.at[k] + (R)r.at[k];
      s += v * v;
    }
  }
  s = blockSum(s, scratch);
  if (thread() == 0) part[t] = (double)s;
}
STORED(pet_partials, (double *part, const S *h, const int *lo, int D), (part, h, lo, D))
