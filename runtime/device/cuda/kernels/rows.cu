// Operations over rows: gathers, scatters, RMSNorm, rotary embedding. One block to a row unless said
// otherwise.
#include "device.h"

// dst[t,:] = table[ids[t],:]
KERNEL void gather(float *dst, const float *table, const int *ids, int D) {
  const float *from = table + (i64)ids[blockX()] * D;
  float *to = dst + (i64)blockX() * D;
  for (int i = thread(); i < D; i += threads()) to[i] = from[i];
}

// dst[t,:] = a[t,:] + bias
KERNEL void add_bias(float *dst, const float *a, const float *bias, int D) {
  i64 row = (i64)blockX() * D;
  for (int i = thread(); i < D; i += threads()) dst[row + i] = a[row + i] + bias[i];
}

// dst[to[i],:] = x[from[i],:], with no row of dst twice.
KERNEL void scatter(float *dst, const float *x, const int *from, const int *to, int D) {
  const float *row = x + (i64)from[blockX()] * D;
  float *out = dst + (i64)to[blockX()] * D;
  for (int i = thread(); i < D; i += threads()) out[i] = row[i];
}

// dst[rows[b],:] = Σ dy[order[i],:] over offsets[b] ≤ i < offsets[b+1], in order.
KERNEL void gather_sum(float *dst, const float *dy, const int *rows, const int *offsets, const int *order, int D) {
  int from = offsets[blockX()], to = offsets[blockX() + 1];
  float *out = dst + (i64)rows[blockX()] * D;
  for (int n = blockY() * threads() + thread(); n < D; n += threads() * __nvvm_read_ptx_sreg_nctaid_y()) {
    float s = 0.0f;
    for (int i = from; i < to; i++) s += dy[(i64)order[i] * D + n];
    out[n] = s;
  }
}

DEVICE double inverseRMS(double squares, int D, double eps) {
  return 1.0 / __nvvm_sqrt_rn_d(squares / (double)D + eps);
}

// dst = w · x / sqrt(mean(x²) + eps)
KERNEL void rmsnorm(float *dst, const float *x, const float *w, int D, double eps) {
  SHARED static double scratch[32];
  const float *row = x + (i64)blockX() * D;
  float *out = dst + (i64)blockX() * D;
  double s = 0.0;
  for (int i = thread(); i < D; i += threads()) s += (double)row[i] * (double)row[i];
  float r = (float)inverseRMS(blockSum(s, scratch), D, eps);
  for (int i = thread(); i < D; i += threads()) out[i] = row[i] * r * w[i];
}

// r[t] = 1 / sqrt(mean(x²) + eps)
KERNEL void inverse_rms(float *r, const float *x, int D, double eps) {
  SHARED static double scratch[32];
  const float *row = x + (i64)blockX() * D;
  double s = 0.0;
  for (int i = thread(); i < D; i += threads()) s += (double)row[i] * (double)row[i];
  s = blockSum(s, scratch);
  if (thread() == 0) r[blockX()] = (float)inverseRMS(s, D, eps);
}

// dx = r·w·dy − x·r³/D·Σ w·dy·x
KERNEL void rmsnorm_grad_x(float *dst, const float *x, const float *w, const float *dy, int D, double eps) {
  SHARED static double scratch[32];
  const float *row = x + (i64)blockX() * D, *y = dy + (i64)blockX() * D;
  float *out = dst + (i64)blockX() * D;
  double squares = 0.0, product = 0.0;
  for (int i = thread(); i < D; i += threads()) {
    double v = (double)row[i];
    squares += v * v;
    product += (double)w[i] * (double)y[i] * v;
  }
  double r = inverseRMS(blockSum(squares, scratch), D, eps);
  product = blockSum(product, scratch);
  float a = (float)r, b = (float)(-r * r * r / (double)D * product);
  for (int i = thread(); i < D; i += threads()) out[i] = a * (w[i] * y[i]) + b * row[i];
}

// One thread to a position and frequency: it turns that pair of every head. turn is ±scale.
KERNEL void rotary(float *dst, const float *x, const int *pos, const float *freq, int T, int heads, int half,
                   float scale, float turn) {
  i64 at = globalThread();
  if (at >= (i64)T * half) return;
  int t = (int)(at / half), i = (int)(at % half);
  double sine, cosine;
  float angle = __nvvm_mul_rn_f((float)pos[t], freq[i]);
  sineCosine((double)angle, &sine, &cosine);
  float c = (float)cosine * scale, s = (float)sine * turn;
  i64 base = (i64)t * heads * 2 * half + i;
  for (int h = 0; h < heads; h++, base += 2 * half) {
    float a = x[base], b = x[base + half];
    dst[base] = a * c - b * s;
    dst[base + half] = b * c + a * s;
  }
}
