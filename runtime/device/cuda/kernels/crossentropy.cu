// Cross-entropy over a block of rows by a block of the vocabulary [from, from+width). State of row i:
// top, the largest logit so far; sum, Σ exp(logit − top); label, the label's logit.
#include "device.h"

KERNEL void ce_begin(float *top, double *sum, float *label, int n) {
  i64 i = globalThread();
  if (i >= n) return;
  top[i] = minusInfinity();
  sum[i] = 0.0;
  label[i] = 0.0f;
}

KERNEL void BOUNDS(256) ce_update(float *top, double *sum, float *label, const float *logits, const int *labels,
                                  const int *rows, int from, int width) {
  SHARED static double doubles[32];
  SHARED static float floats[32];
  int i = blockX();
  const float *row = logits + (i64)i * width;
  float old = top[i], peak = minusInfinity();
  for (int v = thread(); v < width; v += 256) peak = __builtin_fmaxf(peak, row[v]);
  peak = __builtin_fmaxf(blockMost(peak, floats), old);
  float shift = peak == minusInfinity() ? 0.0f : peak;
  double s = 0.0;
  for (int v = thread(); v < width; v += 256) s += (double)exponential(row[v] - shift);
  s = blockSum(s, doubles);
  if (thread() != 0) return;
  top[i] = peak;
  sum[i] = (old == minusInfinity() ? 0.0 : sum[i] * (double)exponential(old - shift)) + s;
  int l = labels[rows[i]] - from;
  if (l >= 0 && l < width) label[i] = row[l];
}

KERNEL void ce_end(float *nll, const float *top, const double *sum, const float *label, const int *rows, int n) {
  i64 i = globalThread();
  if (i < n) nll[rows[i]] = (float)((double)top[i] + logarithm(sum[i]) - (double)label[i]);
}

// logits = dnll · (softmax − onehot), in place
KERNEL void ce_grad(float *logits, const float *top, const double *sum, const int *labels, const int *rows,
                    const float *dnll, int from, int width) {
  int i = blockX(), l = labels[rows[i]] - from;
  float *row = logits + (i64)i * width;
  float f = dnll[rows[i]], shift = top[i], inverse = (float)(1.0 / sum[i]);
  for (int v = blockY() * threads() + thread(); v < width; v += threads() * __nvvm_read_ptx_sreg_nctaid_y()) {
    float p = exponential(row[v] - shift) * inverse;
    row[v] = f * (v == l ? p - 1.0f : p);
  }
}
