// e4m3: a sign, four bits of exponent, three of mantissa, no infinities. A code stands for its value times the
// scale of its row.
#pragma once
#include "storage.h"

typedef unsigned char u8;
typedef u32 w4 __attribute__((ext_vector_type(4)));
typedef u32 w2 __attribute__((ext_vector_type(2)));

// The code nearest to x, of two the even one; 448 is the largest.
DEVICE u32 toE4M3(float x) {
  u32 bits = __builtin_bit_cast(u32, x), a = bits & 0x7fffffffu;
  u32 rounded = (a + 0x7ffffu + (a >> 20 & 1u)) >> 20, normal = rounded - (120u << 3);
  u32 steps = __builtin_bit_cast(u32, __builtin_bit_cast(float, a) + 16384.0f) & 15u; // of 2^-9
  u32 code = a < 0x3c800000u ? steps : normal < 0x7eu ? normal : 0x7eu;
  return (a > 0x7f800000u ? 0x7fu : code) | (bits >> 24 & 0x80u);
}

// The codes of two numbers, the low one in the low byte: by the card's own instruction in E4M3_UNIT, which gives
// the same.
DEVICE u32 pairE4M3(float low, float high) {
#ifdef E4M3_UNIT
  unsigned short pair;
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(high), "f"(low));
  return pair;
#else
  return toE4M3(low) | toE4M3(high) << 8;
#endif
}

DEVICE float fromE4M3(u32 code) {
  u32 a = code & 0x7fu;
  float v = __builtin_bit_cast(float, a << 20) * 0x1p120f;
  u32 bits = __builtin_bit_cast(u32, v) | (code & 0x80u) << 24;
  return __builtin_bit_cast(float, a == 0x7fu ? 0x7fc00000u : bits);
}

// scaleFP8 gives a row's scale and its factor from its largest magnitude.
DEVICE float scaleFP8(float most, float *factor) {
  bool zeros = most < 0x1p-96f;
  *factor = zeros ? 0.0f : 448.0f / most;
  return zeros ? 0.0f : most / 448.0f;
}

// roundedRow looks at a row of x times `by`, where that is not null, and gives each span of it to
// put(i, Count, values, factor, scale). HOLD tells that the row may stay in registers meanwhile.
template <class S, bool HOLD, class F> DEVICE void roundedRow(const S *row, const float *by, int K, bool all, F put) {
  SHARED static float scratch[32];
  const int W = wide<S>(), H = 12; // spans of a thread that stay in registers
  bool held = HOLD && all && K % W == 0 && K <= threads() * W * H;
  float most = 0.0f, f;
  auto scaled = [&](int i, auto c, Floats<c.n> v) {
    if (by) {
      Floats<c.n> s = load<c.n>(by + i);
      UNROLL for (int k = 0; k < c.n; k++) v.at[k] = __nvvm_mul_rn_f(v.at[k], s.at[k]);
    }
    return v;
  };
  auto look = [&](int i, auto c, Floats<c.n> v) {
    v = scaled(i, c, v);
    UNROLL for (int k = 0; k < c.n; k++) most = __builtin_fmaxf(most, __builtin_fabsf(v.at[k]));
  };
  w4 spans[H];
  if (held) {
    UNROLL for (int h = 0; h < H; h++) {
      int i = (h * threads() + thread()) * W;
      if (i < K) spans[h] = *(const w4 *)(row + i);
    }
    UNROLL for (int h = 0; h < H; h++) {
      int i = (h * threads() + thread()) * W;
      if (i < K) look(i, Count<W>(), load<W>((const S *)&spans[h]));
    }
  } else {
    alongRow<S>(K, all, [&](int i, auto c) { look(i, c, load<c.n>(row + i)); });
  }
  float scale = scaleFP8(blockMost(most, scratch), &f);
  if (held) {
    UNROLL for (int h = 0; h < H; h++) {
      int i = (h * threads() + thread()) * W;
      if (i < K) put(i, Count<W>(), scaled(i, Count<W>(), load<W>((const S *)&spans[h])), f, scale);
    }
  } else {
    alongRow<S>(K, all, [&](int i, auto c) { put(i, c, scaled(i, c, load<c.n>(row + i)), f, scale); });
  }
}

// codes and scale of each row of x, times `by` by column where that is not null. One block to a row.
template <class S> DEVICE void quantize_rows_fp8(u8 *codes, float *scale, const S *x, const float *by, int K) {
  u8 *out = codes + (i64)blockX() * K;
  bool all = aligned(x) && aligned(codes) && (!by || aligned(by)) && K % 16 == 0;
  roundedRow<S, isNarrow<S>()>(x + (i64)blockX() * K, by, K, all, [=](int i, auto c, Floats<c.n> v, float f, float s) {
    u32 words[2] = {0, 0};
    UNROLL for (int k = 0; k + 1 < c.n; k += 2)
      words[k / 4] |= pairE4M3(__nvvm_mul_rn_f(v.at[k], f), __nvvm_mul_rn_f(v.at[k + 1], f)) << k % 4 * 8;
    if constexpr (c.n == 1) words[0] = pairE4M3(__nvvm_mul_rn_f(v.at[0], f), 0.0f);
    if constexpr (c.n == 8) *(w2 *)(out + i) = w2{words[0], words[1]};
    else if constexpr (c.n == 4) *(u32 *)(out + i) = words[0];
    else out[i] = (u8)words[0];
    if (i == 0) scale[blockX()] = s;
  });
}
