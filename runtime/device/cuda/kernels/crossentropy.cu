// Cross-entropy over a block of rows by a block of the vocabulary [from, from+width). State of row i:
// top, the largest logit so far; sum, Σ exp(logit − top); label, the label's logit. Logits are float32
// whatever is stored.
#include "storage.h"

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

// quickExponential is e^x for x ≤ 0, within 2^-18 down to e^-32.
DEVICE float quickExponential(float x) { return __nvvm_ex2_approx_ftz_f(1.44269504f * x); }

// ce_update for narrow types: one reading of the logits (Milakov & Gimelshein, online normalizer
// calculation for softmax, 2018) and float32 sums.
KERNEL void BOUNDS(256) ce_update_narrow(float *top, double *sum, float *label, const float *logits, const int *labels,
                                         const int *rows, int from, int width) {
  SHARED static float scratch[32];
  int i = blockX();
  const float *row = logits + (i64)i * width;
  float old = top[i], most = -1e30f, s = 0.0f;
  auto spans = [&](auto c) {
    for (int v = thread() * c.n; v < width; v += 256 * c.n) {
      Floats<c.n> l = load<c.n>(row + v);
      float peak = most;
      UNROLL for (int k = 0; k < c.n; k++) peak = __builtin_fmaxf(peak, l.at[k]);
      if (peak > most) {
        s *= quickExponential(most - peak);
        most = peak;
      }
      UNROLL for (int k = 0; k < c.n; k++) s += quickExponential(l.at[k] - most);
    }
  };
  if (width % 4 == 0 && aligned(logits)) spans(Count<4>());
  else spans(Count<1>());
  float peak = __builtin_fmaxf(blockMost(most, scratch), old);
  s = blockSum(s * quickExponential(most - peak), scratch);
  if (thread() != 0) return;
  top[i] = peak;
  sum[i] = sum[i] * (double)exponential(old - peak) + (double)s;
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

// residual = 1024 · (softmax − onehot). The factor keeps small probabilities in the range of half
// precision; dnll, which may be small too, comes in later.
template <class S>
DEVICE void ce_residual(S *residual, const float *logits, const float *top, const double *sum, const int *labels,
                        const int *rows, int from, int width) {
  int i = blockX(), l = labels[rows[i]] - from;
  const float *row = logits + (i64)i * width;
  S *out = residual + (i64)i * width;
  float shift = top[i], inverse = 1024.0f / (float)sum[i];
  int step = threads() * __nvvm_read_ptx_sreg_nctaid_y(), first = blockY() * threads() + thread();
  auto spans = [=](auto c) {
    for (int v = first * c.n; v < width; v += step * c.n) {
      Floats<c.n> e = load<c.n>(row + v);
      UNROLL for (int k = 0; k < c.n; k++) {
        float p = quickExponential(e.at[k] - shift) * inverse;
        e.at[k] = v + k == l ? p - 1024.0f : p;
      }
      store<c.n>(out + v, e);
    }
  };
  if (width % 8 == 0 && aligned(logits) && aligned(residual)) spans(Count<8>());
  else spans(Count<1>());
}
NARROW(ce_residual,
       (S *residual, const float *logits, const float *top, const double *sum, const int *labels, const int *rows, int from,
        int width),
       (residual, logits, top, sum, labels, rows, from, width))

// dst[i,:] = h[rows[i],:] · dnll[rows[i]]
template <class S> DEVICE void ce_weigh(S *dst, const S *h, const float *dnll, const int *rows, int D) {
  const S *row = h + (i64)rows[blockX()] * D;
  float f = dnll[rows[blockX()]];
  for (int i = thread(); i < D; i += threads()) dst[(i64)blockX() * D + i] = (S)((float)row[i] * f);
}
NARROW(ce_weigh, (S *dst, const S *h, const float *dnll, const int *rows, int D), (dst, h, dnll, rows, D))

// dst[rows[i],:] = x[i,:] · dnll[rows[i]] / 1024
template <class S> DEVICE void ce_scatter(S *dst, const float *x, const float *dnll, const int *rows, int D) {
  S *row = dst + (i64)rows[blockX()] * D;
  float f = dnll[rows[blockX()]] * 0x1p-10f;
  for (int i = thread(); i < D; i += threads()) row[i] = (S)(x[(i64)blockX() * D + i] * f);
}
NARROW(ce_scatter, (S *dst, const float *x, const float *dnll, const int *rows, int D), (dst, x, dnll, rows, D))
