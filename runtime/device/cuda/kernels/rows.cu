// Operations over rows: gathers, scatters, RMSNorm, rotary embedding. One block to a row unless said
// otherwise.
#include "storage.h"

template <class S> DEVICE void copyRow(S *to, const S *from, int n) {
  alongRow<S>(n, aligned(to) && aligned(from), [=](int i, auto c) { store<c.n>(to + i, load<c.n>(from + i)); });
}

// dst[t,:] = table[ids[t],:]
template <class S> DEVICE void gather(S *dst, const S *table, const int *ids, int D) {
  copyRow(dst + (i64)blockX() * D, table + (i64)ids[blockX()] * D, D);
}
STORED(gather, (S *dst, const S *table, const int *ids, int D), (dst, table, ids, D))

// dst[to[i],:] = x[from[i],:], with no row of dst twice.
template <class S> DEVICE void scatter(S *dst, const S *x, const int *from, const int *to, int D) {
  copyRow(dst + (i64)to[blockX()] * D, x + (i64)from[blockX()] * D, D);
}
STORED(scatter, (S *dst, const S *x, const int *from, const int *to, int D), (dst, x, from, to, D))

// dst[t,:] = a[t,:] + bias
template <class S> DEVICE void add_bias(S *dst, const S *a, const float *bias, int D) {
  i64 row = (i64)blockX() * D;
  alongRow<S>(D, aligned(dst) && aligned(a) && aligned(bias), [=](int i, auto c) {
    Floats<c.n> v = load<c.n>(a + row + i), b = load<c.n>(bias + i);
    UNROLL for (int k = 0; k < c.n; k++) v.at[k] = v.at[k] + b.at[k];
    store<c.n>(dst + row + i, v);
  });
}
STORED(add_bias, (S *dst, const S *a, const float *bias, int D), (dst, a, bias, D))

// dst[t,:] = a[t,:] · s
template <class S> DEVICE void scale_columns(S *dst, const S *a, const float *s, int D) {
  i64 row = (i64)blockX() * D;
  alongRow<S>(D, aligned(dst) && aligned(a) && aligned(s), [=](int i, auto c) {
    Floats<c.n> v = load<c.n>(a + row + i), f = load<c.n>(s + i);
    UNROLL for (int k = 0; k < c.n; k++) v.at[k] = v.at[k] * f.at[k];
    store<c.n>(dst + row + i, v);
  });
}
STORED(scale_columns, (S *dst, const S *a, const float *s, int D), (dst, a, s, D))

// dst[rows[b],:] = Σ dy[order[i],:] over offsets[b] ≤ i < offsets[b+1], in order.
template <class S>
DEVICE void gather_sum(S *dst, const S *dy, const int *rows, const int *offsets, const int *order, int D) {
  int from = offsets[blockX()], to = offsets[blockX() + 1];
  S *out = dst + (i64)rows[blockX()] * D;
  for (int n = blockY() * threads() + thread(); n < D; n += threads() * __nvvm_read_ptx_sreg_nctaid_y()) {
    float s = 0.0f;
    for (int i = from; i < to; i++) s += (float)dy[(i64)order[i] * D + n];
    out[n] = (S)s;
  }
}
STORED(gather_sum, (S *dst, const S *dy, const int *rows, const int *offsets, const int *order, int D),
       (dst, dy, rows, offsets, order, D))

// squares is Σ x² over the block's row, in every thread.
template <class S> DEVICE typename Sum<S>::type squares(const S *row, int D) {
  typedef typename Sum<S>::type R;
  const int W = Sum<S>::span;
  SHARED static R scratch[32];
  bool whole = D % W == 0 && aligned(row);
  R s = 0;
  for (int i = thread() * W; i < D; i += threads() * W) {
    Floats<W> v = part<W>(row + i, D - i, whole || W == 1);
    UNROLL for (int k = 0; k < W; k++) s += (R)v.at[k] * (R)v.at[k];
  }
  return blockSum(s, scratch);
}

DEVICE double inverseRMS(double squares, int D, double eps) {
  return 1.0 / __nvvm_sqrt_rn_d(squares / (double)D + eps);
}

DEVICE float inverseRMS(float squares, int D, double eps) {
  return 1.0f / __nvvm_sqrt_rn_f(squares / (float)D + (float)eps);
}

// dst = w · x / sqrt(mean(x²) + eps)
template <class S> DEVICE void rmsnorm(S *dst, const S *x, const float *w, int D, double eps) {
  const S *row = x + (i64)blockX() * D;
  S *out = dst + (i64)blockX() * D;
  float r = (float)inverseRMS(squares(row, D), D, eps);
  alongRow<S>(D, aligned(dst) && aligned(x) && aligned(w), [=](int i, auto c) {
    Floats<c.n> v = load<c.n>(row + i), f = load<c.n>(w + i);
    UNROLL for (int k = 0; k < c.n; k++) v.at[k] = v.at[k] * r * f.at[k];
    store<c.n>(out + i, v);
  });
}
STORED(rmsnorm, (S *dst, const S *x, const float *w, int D, double eps), (dst, x, w, D, eps))

// r[t] = 1 / sqrt(mean(x²) + eps)
template <class S> DEVICE void inverse_rms(float *r, const S *x, int D, double eps) {
  auto s = squares(x + (i64)blockX() * D, D);
  if (thread() == 0) r[blockX()] = (float)inverseRMS(s, D, eps);
}
STORED(inverse_rms, (float *r, const S *x, int D, double eps), (r, x, D, eps))

// dst[n] = m[n] / sqrt(Σ w[n,:]²)
template <class S> DEVICE void divide_by_norms(float *dst, const float *m, const S *w, int D) {
  double s = (double)squares(w + (i64)blockX() * D, D);
  if (thread() == 0) dst[blockX()] = (float)((double)m[blockX()] / __nvvm_sqrt_rn_d(s));
}
STORED(divide_by_norms, (float *dst, const float *m, const S *w, int D), (dst, m, w, D))

// dx = r·w·dy − x·r³/D·Σ w·dy·x, plus c where that is not null
template <class S>
DEVICE void rmsnorm_grad_x(S *dst, const S *x, const float *w, const S *dy, const S *c, int D, double eps) {
  typedef typename Sum<S>::type R;
  const int W = Sum<S>::span;
  SHARED static R scratch[32];
  const S *row = x + (i64)blockX() * D, *y = dy + (i64)blockX() * D;
  S *out = dst + (i64)blockX() * D;
  const S *more = c + (i64)blockX() * D;
  bool whole = D % W == 0 && aligned(dst) && aligned(x) && aligned(w) && aligned(dy), all = whole && aligned(c);
  R squares = 0, product = 0;
  for (int i = thread() * W; i < D; i += threads() * W) {
    Floats<W> v = part<W>(row + i, D - i, whole || W == 1), f = part<W>(w + i, D - i, whole || W == 1);
    Floats<W> g = part<W>(y + i, D - i, whole || W == 1);
    UNROLL for (int k = 0; k < W; k++) {
      R e = (R)v.at[k];
      squares += e * e;
      product += (R)f.at[k] * (R)g.at[k] * e;
    }
  }
  blockSums(&squares, &product, scratch);
  R r = inverseRMS(squares, D, eps);
  float a = (float)r, b = (float)(-r * r * r / (R)D * product);
  alongRow<S>(D, all, [=](int i, auto n) {
    Floats<n.n> v = load<n.n>(row + i), f = load<n.n>(w + i), g = load<n.n>(y + i);
    UNROLL for (int k = 0; k < n.n; k++) v.at[k] = __builtin_fmaf(f.at[k] * g.at[k], a, b * v.at[k]);
    if (c) {
      Floats<n.n> m = load<n.n>(more + i);
      UNROLL for (int k = 0; k < n.n; k++) v.at[k] = v.at[k] + m.at[k];
    }
    store<n.n>(out + i, v);
  });
}
STORED(rmsnorm_grad_x, (S *dst, const S *x, const float *w, const S *dy, const S *c, int D, double eps),
       (dst, x, w, dy, c, D, eps))

// One thread to a position and two dimensions: it turns that pair of every head, or copies two of those
// that stay. turn is ±scale.
KERNEL void rotary_f32(float *dst, const float *x, const int *pos, const float *freq, int T, int heads, int dim,
                       int half, float scale, float turn) {
  i64 at = globalThread();
  if (at >= (i64)T * (dim / 2)) return;
  int t = (int)(at / (dim / 2)), i = (int)(at % (dim / 2));
  if (i >= half) {
    i64 base = (i64)t * heads * dim + 2 * i;
    for (int h = 0; h < heads; h++, base += dim) {
      dst[base] = x[base];
      dst[base + 1] = x[base + 1];
    }
    return;
  }
  double sine, cosine;
  float angle = __nvvm_mul_rn_f((float)pos[t], freq[i]);
  sineCosine((double)angle, &sine, &cosine);
  float c = (float)cosine * scale, s = (float)sine * turn;
  i64 base = (i64)t * heads * dim + i;
  for (int h = 0; h < heads; h++, base += dim) {
    float a = x[base], b = x[base + half];
    dst[base] = a * c - b * s;
    dst[base + half] = b * c + a * s;
  }
}

// quickSineCosine reduces by multiples of π/2 held in three floats, which leaves an error of about 1e-7
// for angles up to a million, then takes Taylor's polynomials.
DEVICE void quickSineCosine(float x, float *sine, float *cosine) {
  float k = __builtin_rintf(x * 0.636619747f);
  float r = __builtin_fmaf(-k, 1.57079637f, x);
  r = __builtin_fmaf(-k, -4.37113883e-8f, r);
  r = __builtin_fmaf(-k, -1.71512451e-15f, r);
  float q = r * r;
  float s = __builtin_fmaf(q, __builtin_fmaf(q, __builtin_fmaf(q, 2.75573192e-6f, -1.98412698e-4f), 8.33333377e-3f), -0.166666672f);
  float c = __builtin_fmaf(q, __builtin_fmaf(q, __builtin_fmaf(q, 2.48015873e-5f, -1.38888892e-3f), 4.16666679e-2f), -0.5f);
  s = __builtin_fmaf(s * q, r, r);
  c = __builtin_fmaf(c, q, 1.0f);
  int quadrant = (int)k & 3;
  *sine = quadrant == 0 ? s : quadrant == 1 ? c : quadrant == 2 ? -s : -c;
  *cosine = quadrant == 0 ? c : quadrant == 1 ? -s : quadrant == 2 ? -c : s;
}

// The same for narrow types: a block to a position, whose sines and cosines lie in shared memory.
template <class S>
DEVICE void rotary(S *dst, const S *x, const int *pos, const float *freq, int heads, int dim, int half, float scale,
                   float turn) {
  SHARED static __attribute__((aligned(16))) float cosines[256], sines[256];
  i64 row = (i64)blockX() * heads * dim;
  float p = (float)pos[blockX()];
  bool all = half % 8 == 0 && dim % 8 == 0 && aligned(dst) && aligned(x);
  int stay = dim - 2 * half;
  for (int j = thread(); j < heads * stay; j += threads()) {
    i64 at = row + (i64)(j / stay) * dim + 2 * half + j % stay;
    dst[at] = x[at];
  }
  for (int from = 0; from < half; from += 256) {
    int n = least(256, half - from);
    __syncthreads();
    for (int i = thread(); i < n; i += threads()) {
      float s, c;
      quickSineCosine(__nvvm_mul_rn_f(p, freq[from + i]), &s, &c);
      sines[i] = s * turn;
      cosines[i] = c * scale;
    }
    __syncthreads();
    auto pairs = [&](auto c) {
      const int N = c.n;
      int spans = n / N;
      for (int j = thread(); j < heads * spans; j += threads()) {
        int i = j % spans * N;
        i64 at = row + (i64)(j / spans) * dim + from + i;
        Floats<N> a = load<N>(x + at), b = load<N>(x + at + half), u, v;
        UNROLL for (int k = 0; k < N; k++) {
          u.at[k] = a.at[k] * cosines[i + k] - b.at[k] * sines[i + k];
          v.at[k] = b.at[k] * cosines[i + k] + a.at[k] * sines[i + k];
        }
        store<N>(dst + at, u);
        store<N>(dst + at + half, v);
      }
    };
    if (all) pairs(Count<8>());
    else pairs(Count<1>());
  }
}
NARROW(rotary,
       (S *dst, const S *x, const int *pos, const float *freq, int heads, int dim, int half, float scale, float turn),
       (dst, x, pos, freq, heads, dim, half, scale, turn))
