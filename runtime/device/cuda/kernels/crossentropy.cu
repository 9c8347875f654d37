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

DEVICE f4 exponentials(f4 v, float shift) {
  f4 e;
  UNROLL for (int k = 0; k < 4; k++) e[k] = exponential(v[k] - shift);
  return e;
}

// The sum of a row's exponentials is taken in double precision for float32, in float32 for narrow types,
// there over spans of four.
template <class S>
DEVICE void ce_update(float *top, double *sum, float *label, const float *logits, const int *labels, const int *rows,
                      int from, int width) {
  typedef typename Sum<S>::type R;
  SHARED static R sums[32];
  SHARED static float floats[32];
  int i = blockX();
  const float *row = logits + (i64)i * width;
  bool spans = isNarrow<S>() && width % 4 == 0 && aligned(logits);
  float old = top[i], peak = minusInfinity();
  if (spans) {
    for (int v = thread() * 4; v < width; v += 1024) {
      f4 l = *(const f4 *)(row + v);
      peak = __builtin_fmaxf(__builtin_fmaxf(peak, __builtin_fmaxf(l[0], l[1])), __builtin_fmaxf(l[2], l[3]));
    }
  } else {
    for (int v = thread(); v < width; v += 256) peak = __builtin_fmaxf(peak, row[v]);
  }
  peak = __builtin_fmaxf(blockMost(peak, floats), old);
  float shift = peak == minusInfinity() ? 0.0f : peak;
  R s = 0;
  if (spans) {
    for (int v = thread() * 4; v < width; v += 1024) {
      f4 e = exponentials(*(const f4 *)(row + v), shift);
      s += (R)((e[0] + e[1]) + (e[2] + e[3]));
    }
  } else {
    for (int v = thread(); v < width; v += 256) s += (R)exponential(row[v] - shift);
  }
  s = blockSum(s, sums);
  if (thread() != 0) return;
  top[i] = peak;
  sum[i] = (old == minusInfinity() ? 0.0 : sum[i] * (double)exponential(old - shift)) + (double)s;
  int l = labels[rows[i]] - from;
  if (l >= 0 && l < width) label[i] = row[l];
}
#define UPDATE(name, S) \
  KERNEL void BOUNDS(256) name(float *top, double *sum, float *label, const float *logits, const int *labels, \
                               const int *rows, int from, int width) { \
    ce_update<S>(top, sum, label, logits, labels, rows, from, width); \
  }
UPDATE(ce_update, float)
UPDATE(ce_update_narrow, bf16)

KERNEL void ce_end(float *nll, const float *top, const double *sum, const float *label, const int *rows, int n) {
  i64 i = globalThread();
  if (i < n) nll[rows[i]] = (float)((double)top[i] + logarithm(sum[i]) - (double)label[i]);
}

// grad = dnll · (softmax − onehot), in place of the logits for float32.
template <class S>
DEVICE void ce_grad(S *grad, const float *logits, const float *top, const double *sum, const int *labels, const int *rows,
                    const float *dnll, int from, int width) {
  int i = blockX(), l = labels[rows[i]] - from;
  const float *row = logits + (i64)i * width;
  S *out = grad + (i64)i * width;
  float f = dnll[rows[i]], shift = top[i], inverse = (float)(1.0 / sum[i]);
  int step = threads() * __nvvm_read_ptx_sreg_nctaid_y(), first = blockY() * threads() + thread();
  auto spans = [=](auto c) {
    for (int v = first * c.n; v < width; v += step * c.n) {
      Floats<c.n> e = load<c.n>(row + v);
      UNROLL for (int k = 0; k < c.n; k++) {
        float p = exponential(e.at[k] - shift) * inverse;
        e.at[k] = f * (v + k == l ? p - 1.0f : p);
      }
      store<c.n>(out + v, e);
    }
  };
  const int W = wide<S>();
  if (width % W == 0 && aligned(logits) && aligned(grad)) spans(Count<W>());
  else spans(Count<1>());
}
STORED(ce_grad,
       (S *grad, const float *logits, const float *top, const double *sum, const int *labels, const int *rows,
        const float *dnll, int from, int width),
       (grad, logits, top, sum, labels, rows, dnll, from, width))
