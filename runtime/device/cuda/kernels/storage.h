// Storage types: float32, bfloat16 and IEEE half precision in memory, float32 in registers.
#pragma once
#include "device.h"

typedef __bf16 bf16;
typedef _Float16 f16;

// STORED makes the three kernels name_f32, name_bf16 and name_f16 of the template `name`, whose
// parameters name the storage type S. A block has at most 256 threads.
namespace of_f32 { typedef float S; }
namespace of_bf16 { typedef bf16 S; }
namespace of_f16 { typedef f16 S; }
#define STORED_AS(type, name, params, args) \
  namespace of_##type { KERNEL void BOUNDS(256) name##_##type params { ::name<S> args; } }
#define NARROW(name, params, args) STORED_AS(bf16, name, params, args) STORED_AS(f16, name, params, args)
#define STORED(name, params, args) STORED_AS(f32, name, params, args) NARROW(name, params, args)

template <class S> DEVICE constexpr bool isNarrow() { return sizeof(S) == 2; }

// A span of N elements, as floats.
template <int N> struct Floats {
  float at[N];
};

// wide is the number of elements in 16 bytes.
template <class S> DEVICE constexpr int wide() { return 16 / (int)sizeof(S); }

DEVICE bool aligned(const void *p) { return ((u64)p & 15) == 0; }

// Two elements in a word.
template <class S> DEVICE void split(u32 word, float *low, float *high) {
  if constexpr (__is_same(S, bf16)) {
    *low = __builtin_bit_cast(float, word << 16);
    *high = __builtin_bit_cast(float, word & 0xffff0000u);
  } else {
    *low = (float)__builtin_bit_cast(f16, (unsigned short)word);
    *high = (float)__builtin_bit_cast(f16, (unsigned short)(word >> 16));
  }
}

template <class S> DEVICE u32 join(float low, float high) {
  u32 word;
  if constexpr (__is_same(S, bf16))
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  else
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
}

// N narrow elements in words.
template <int N> using Words = u32 __attribute__((ext_vector_type(N / 2)));

// load reads N elements: one, or four or eight that are aligned.
template <int N, class S> DEVICE Floats<N> load(const S *p) {
  Floats<N> v;
  if constexpr (N == 1) {
    v.at[0] = (float)*p;
  } else if constexpr (isNarrow<S>()) {
    auto words = *(const Words<N> *)p;
    UNROLL for (int i = 0; i < N / 2; i++) split<S>(words[i], &v.at[2 * i], &v.at[2 * i + 1]);
  } else {
    UNROLL for (int i = 0; i < N; i += 4) {
      f4 words = *(const f4 *)(p + i);
      UNROLL for (int k = 0; k < 4; k++) v.at[i + k] = words[k];
    }
  }
  return v;
}

// store writes N elements, rounded to nearest even.
template <int N, class S> DEVICE void store(S *p, Floats<N> v) {
  if constexpr (N == 1) {
    *p = (S)v.at[0];
  } else if constexpr (isNarrow<S>()) {
    Words<N> words;
    UNROLL for (int i = 0; i < N / 2; i++) words[i] = join<S>(v.at[2 * i], v.at[2 * i + 1]);
    *(Words<N> *)p = words;
  } else {
    UNROLL for (int i = 0; i < N; i += 4) {
      f4 words;
      UNROLL for (int k = 0; k < 4; k++) words[k] = v.at[i + k];
      *(f4 *)(p + i) = words;
    }
  }
}

// A number of elements as a type, for the generic lambdas below.
template <int N> struct Count {
  static const int n = N;
};

// eachSpan calls f(i, Count) for spans that cover n elements, in no order: of 16 bytes where all
// addresses are aligned, then one by one.
template <class S, class F> DEVICE void eachSpan(i64 n, bool all, F f) {
  const int W = wide<S>();
  i64 done = all ? n / W : 0;
  for (i64 p = globalThread(); p < done; p += allThreads()) f(p * W, Count<W>());
  for (i64 i = done * W + globalThread(); i < n; i += allThreads()) f(i, Count<1>());
}

// alongRow calls f(i, Count) for spans that cover a row of D: of 16 bytes where its elements are
// aligned. Only for what does not depend on the order.
template <class S, class F> DEVICE void alongRow(int D, bool all, F f) {
  const int W = wide<S>();
  if (all && D % W == 0) {
    for (int i = thread() * W; i < D; i += threads() * W) f(i, Count<W>());
  } else {
    for (int i = thread(); i < D; i += threads()) f(i, Count<1>());
  }
}

// Sums over a row: in double precision element by element for float32; for narrow types in float32 over
// spans of eight, the same ones whatever the alignment.
template <class S> struct Sum {
  typedef double type;
  static const int span = 1;
};
template <> struct Sum<bf16> {
  typedef float type;
  static const int span = 8;
};
template <> struct Sum<f16> : Sum<bf16> {};

// part loads span N at p, of which `left` elements exist; zeros for the others.
template <int N, class S> DEVICE Floats<N> part(const S *p, int left, bool whole) {
  if (whole) return load<N>(p);
  Floats<N> v;
  UNROLL for (int k = 0; k < N; k++) v.at[k] = k < left ? (float)p[k] : 0.0f;
  return v;
}

// blockSums is blockSum, in the same order, of two values at once, of either precision. scratch holds 16
// values; the block has at most 256 threads.
template <class R> DEVICE void blockSums(R *a, R *b, R *scratch) {
  R u = *a, v = *b;
  for (int mask = 16; mask > 0; mask >>= 1) {
    u += exchange(u, mask);
    v += exchange(v, mask);
  }
  if (thread() % 32 == 0) {
    scratch[thread() / 32] = u;
    scratch[8 + thread() / 32] = v;
  }
  __syncthreads();
  *a = *b = 0;
  for (int w = 0; w < threads() / 32; w++) {
    *a += scratch[w];
    *b += scratch[8 + w];
  }
  __syncthreads();
}

// blockSum in float32: as in double precision, a fixed order.
DEVICE float blockSum(float v, float *scratch) {
  for (int mask = 16; mask > 0; mask >>= 1) v += exchange(v, mask);
  if (thread() % 32 == 0) scratch[thread() / 32] = v;
  __syncthreads();
  float sum = 0.0f;
  for (int w = 0; w < threads() / 32; w++) sum += scratch[w];
  __syncthreads();
  return sum;
}

// quickSigmoid is within 2^-21 of the sigmoid, more than a narrow type holds.
DEVICE float quickSigmoid(float x) { return __nvvm_rcp_approx_ftz_f(1.0f + __nvvm_ex2_approx_ftz_f(-1.44269504f * x)); }

template <class S> DEVICE float sigmoidOf(float x) {
  if constexpr (isNarrow<S>()) return quickSigmoid(x);
  else return sigmoid(x);
}
