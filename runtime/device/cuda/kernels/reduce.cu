// Reductions. Each block sums a span that depends on the size alone into a double; sum_partials adds
// the spans. The order of every addition is fixed.
#include "device.h"

// part[block] = Σ a·b over the block's span.
KERNEL void BOUNDS(256) dot_partials(double *part, const float *a, const float *b, i64 n, i64 span) {
  SHARED static double scratch[32];
  i64 from = blockX() * span, to = from + span < n ? from + span : n;
  double s[4] = {0.0, 0.0, 0.0, 0.0};
  i64 i = from + thread();
  for (; i + 768 < to; i += 1024)
    UNROLL for (int k = 0; k < 4; k++) s[k] += (double)a[i + 256 * k] * (double)b[i + 256 * k];
  for (; i < to; i += 256) s[0] += (double)a[i] * (double)b[i];
  double sum = blockSum((s[0] + s[1]) + (s[2] + s[3]), scratch);
  if (thread() == 0) part[blockX()] = sum;
}

// dst[column] = factor · Σ_i part[i·columns + column]; one block to a column.
KERNEL void sum_partials(float *dst, const double *part, int count, int columns, double factor) {
  SHARED static double scratch[32];
  double s = 0.0;
  for (i64 i = thread(); i < count; i += threads()) s += part[i * columns + blockX()];
  s = blockSum(s, scratch);
  if (thread() == 0) dst[blockX()] = (float)(s * factor);
}

// part[y·N + n] = Σ a[t,n] over the rows of block y.
KERNEL void column_partials(double *part, const float *a, int T, int N, int rows) {
  i64 n = globalThread();
  if (n >= N) return;
  int from = blockY() * rows, to = least(T, from + rows);
  double s = 0.0;
  for (int t = from; t < to; t++) s += (double)a[(i64)t * N + n];
  part[(i64)blockY() * N + n] = s;
}

// part[y·N + n] = Σ a[t,n]·b[t,n]·r[t] over the rows of block y.
KERNEL void weighted_partials(double *part, const float *a, const float *b, const float *r, int T, int N, int rows) {
  i64 n = globalThread();
  if (n >= N) return;
  int from = blockY() * rows, to = least(T, from + rows);
  double s = 0.0;
  for (int t = from; t < to; t++) s += (double)a[(i64)t * N + n] * (double)b[(i64)t * N + n] * (double)r[t];
  part[(i64)blockY() * N + n] = s;
}

// part[block·64 + 8i + j] = Σ y_i·x_j over the 8-vectors of the block's span; four groups of 64
// threads take every fourth vector.
KERNEL void BOUNDS(256) outer_partials(double *part, const float *x, const float *y, i64 vectors, i64 span) {
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

// part[t] = Σ_d (h[t] − 2h[t−1] + h[t−2])², 0 where t has no two predecessors in its sequence.
KERNEL void pet_partials(double *part, const float *h, const int *lo, int D) {
  SHARED static double scratch[32];
  int t = blockX();
  if (t - 2 < lo[t]) {
    if (thread() == 0) part[t] = 0.0;
    return;
  }
  const float *a = h + (i64)t * D, *b = a - D, *c = b - D;
  double s = 0.0;
  for (int i = thread(); i < D; i += threads()) {
    double v = (double)a[i] - 2.0 * (double)b[i] + (double)c[i];
    s += v * v;
  }
  s = blockSum(s, scratch);
  if (thread() == 0) part[t] = s;
}
