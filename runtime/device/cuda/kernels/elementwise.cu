// Element-wise operations: a grid of threads strides over n elements. A destination may be an input,
// since each element is read before it is written and by no other thread.
#include "device.h"

#define EACH(i, n) for (i64 i = globalThread(); i < (n); i += allThreads())

KERNEL void fill(float *dst, i64 n, float v) { EACH(i, n) dst[i] = v; }

KERNEL void add(float *dst, const float *a, const float *b, i64 n) { EACH(i, n) dst[i] = a[i] + b[i]; }

KERNEL void mul(float *dst, const float *a, const float *b, i64 n) { EACH(i, n) dst[i] = a[i] * b[i]; }

KERNEL void scale(float *dst, const float *a, i64 n, float s) { EACH(i, n) dst[i] = s * a[i]; }

KERNEL void scale_by(float *dst, const float *a, const float *s, i64 n) {
  float f = s[0];
  EACH(i, n) dst[i] = f * a[i];
}

KERNEL void swiglu(float *dst, const float *gate, const float *up, i64 n) {
  EACH(i, n) {
    float g = gate[i];
    dst[i] = g * sigmoid(g) * up[i];
  }
}

// With s = sigmoid(gate), dup = dy·gate·s and dgate = dy·up·s·(1 + gate·(1−s)).
KERNEL void swiglu_grad(float *dgate, float *dup, const float *gate, const float *up, const float *dy, i64 n) {
  EACH(i, n) {
    float g = gate[i], u = up[i], y = dy[i], s = sigmoid(g);
    dgate[i] = y * u * s * (1.0f + g * (1.0f - s));
    dup[i] = y * g * s;
  }
}

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), one counter to
// four elements. An element is kept where its lane is at least threshold.
KERNEL void dropout(float *dst, const float *x, const int *key, i64 n, u32 stream, u32 threshold, float inverse) {
  EACH(q, (n + 3) / 4) {
    u32 c0 = (u32)q, c1 = 0, c2 = stream, c3 = 0, k0 = (u32)key[0], k1 = (u32)key[1];
    UNROLL for (int round = 0; round < 10; round++) {
      u64 p0 = (u64)0xD2511F53u * c0, p1 = (u64)0xCD9E8D57u * c2;
      c0 = (u32)(p1 >> 32) ^ c1 ^ k0;
      c1 = (u32)p1;
      c2 = (u32)(p0 >> 32) ^ c3 ^ k1;
      c3 = (u32)p0;
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    u32 lanes[4] = {c0, c1, c2, c3};
    UNROLL for (int lane = 0; lane < 4; lane++) {
      i64 i = 4 * q + lane;
      if (i < n) dst[i] = lanes[lane] >= threshold ? x[i] * inverse : 0.0f;
    }
  }
}

// One step of AdamW (Loshchilov & Hutter 2019), decay first, as PyTorch does it. rate is
// lr/(1−beta1^t) and root 1/sqrt(1−beta2^t).
KERNEL void adamw(float *p, const float *g, float *m, float *v, i64 n, float decay, float beta1, float other1,
                  float beta2, float other2, float rate, float root, float eps) {
  EACH(i, n) {
    float gi = g[i];
    float mi = beta1 * m[i] + other1 * gi;
    float vi = beta2 * v[i] + other2 * gi * gi;
    m[i] = mi;
    v[i] = vi;
    p[i] = p[i] * decay - rate * mi / (__builtin_sqrtf(vi) * root + eps);
  }
}

// The upper half of a float32, rounded to nearest, ties to even; NaN stays NaN.
KERNEL void to_bfloat16(unsigned short *dst, const float *src, i64 n) {
  EACH(i, n) {
    u32 bits = __builtin_bit_cast(u32, src[i]);
    u32 rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    dst[i] = (unsigned short)(src[i] == src[i] ? rounded : 0x7fffu);
  }
}
