// Rotations in blocks of eight, and the second differences along a sequence.
#include "storage.h"

// One thread to an element of the 8×8 matrices, which live in shared memory.
DEVICE double product(const double *a, const double *b) {
  int row = thread() / 8 * 8, column = thread() % 8;
  double s = 0.0;
  for (int k = 0; k < 8; k++) s += a[row + k] * b[k * 8 + column];
  return s;
}

// exp(A) and its derivative along G, by scaling, Taylor and squaring, each differentiated with the
// product rule. A holds A and G its direction on entry; e and de the results of this thread.
DEVICE void skewExp(double *A, double *G, double *E, double *F, double *e, double *de) {
  int at = thread();
  __syncthreads();
  double norm = 0.0; // the largest row sum bounds the spectral norm
  for (int i = 0; i < 8; i++) {
    double s = 0.0;
    for (int j = 0; j < 8; j++) s += __builtin_fabs(A[i * 8 + j]);
    norm = s > norm ? s : norm;
  }
  int halvings = 0;
  double factor = 1.0;
  for (; norm > 0.5 && halvings < 1000; norm *= 0.5, halvings++) factor *= 0.5;
  __syncthreads();
  A[at] *= factor;
  G[at] *= factor;
  double sum = at % 9 == 0 ? 1.0 : 0.0, dsum = 0.0, term = sum, dterm = 0.0;
  for (int k = 1; k <= 16; k++) { // 0.5^17/17! < 1e-19
    E[at] = term;
    F[at] = dterm;
    __syncthreads();
    dterm = (product(F, A) + product(E, G)) / (double)k;
    term = product(E, A) / (double)k;
    __syncthreads();
    sum += term;
    dsum += dterm;
  }
  for (int i = 0; i < halvings; i++) {
    E[at] = sum;
    F[at] = dsum;
    __syncthreads();
    dsum = product(F, E) + product(E, F);
    sum = product(E, E);
    __syncthreads();
  }
  *e = sum;
  *de = dsum;
}

// The 28 entries above the diagonal, row by row: entry (i,j), i < j.
DEVICE int entry(int i, int j) { return i * 7 - i * (i - 1) / 2 + (j - i - 1); }

DEVICE double skew(const float *a, double sign) {
  int i = thread() / 8, j = thread() % 8;
  if (i == j) return 0.0;
  return i < j ? sign * (double)a[entry(i, j)] : -sign * (double)a[entry(j, i)];
}

KERNEL void BOUNDS(64) skew_exp(float *dst, const float *a) {
  SHARED static double A[64], G[64], E[64], F[64];
  A[thread()] = skew(a, 1.0);
  G[thread()] = 0.0;
  double e, de;
  skewExp(A, G, E, F, &e, &de);
  dst[thread()] = (float)e;
}

// The adjoint of the derivative of exp at A is the derivative at Aᵀ = −A.
KERNEL void BOUNDS(64) skew_exp_grad(float *da, const float *a, const float *dr) {
  SHARED static double A[64], G[64], E[64], F[64];
  A[thread()] = skew(a, -1.0);
  G[thread()] = (double)dr[thread()];
  double e, de;
  skewExp(A, G, E, F, &e, &de);
  __syncthreads();
  E[thread()] = de;
  __syncthreads();
  int i = thread() / 8, j = thread() % 8;
  if (i < j) da[entry(i, j)] = (float)(E[i * 8 + j] - E[j * 8 + i]);
}

// dst_b = m·x_b, or mᵀ·x_b: a thread reads a whole 8-vector before it writes one.
template <class S> DEVICE void block_mul(S *dst, const S *x, const float *m, i64 vectors, int trans) {
  SHARED static float w[64];
  if (thread() < 64) w[thread()] = trans ? m[thread() % 8 * 8 + thread() / 8] : m[thread()];
  __syncthreads();
  bool whole = aligned(dst) && aligned(x);
  for (i64 v = globalThread(); v < vectors; v += allThreads()) {
    Floats<8> in = part<8>(x + v * 8, 8, whole), out;
    UNROLL for (int i = 0; i < 8; i++) {
      float s = 0.0f;
      UNROLL for (int j = 0; j < 8; j++) s += w[i * 8 + j] * in.at[j];
      out.at[i] = s;
    }
    if (whole) store<8>(dst + v * 8, out);
    else
      UNROLL for (int i = 0; i < 8; i++) dst[v * 8 + i] = (S)out.at[i];
  }
}
STORED(block_mul, (S *dst, const S *x, const float *m, i64 vectors, int trans), (dst, x, m, vectors, trans))

// Row t of dh collects the second differences that end at t, t+1 and t+2. factor is 2/(valid·D).
template <class S> DEVICE void pet_grad(S *dh, const S *h, const int *lo, const float *dy, int T, int D, double factor) {
  int t = blockX();
  float f = (float)(factor * (double)dy[0]);
  for (int i = thread(); i < D; i += threads()) {
    float s = 0.0f;
    UNROLL for (int ahead = 0; ahead < 3; ahead++) {
      int e = t + ahead;
      if (e >= T || e - 2 < lo[e]) continue;
      const S *a = h + (i64)e * D + i;
      s += (ahead == 1 ? -2.0f * f : f) * ((float)a[0] - 2.0f * (float)a[-D] + (float)a[-2 * (i64)D]);
    }
    dh[(i64)t * D + i] = (S)s;
  }
}
STORED(pet_grad, (S *dh, const S *h, const int *lo, const float *dy, int T, int D, double factor), (dh, h, lo, dy, T, D, factor))
