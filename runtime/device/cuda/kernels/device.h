// What CUDA's headers would give, and no more: the kernels are compiled without a CUDA toolkit.
#pragma once

#define KERNEL extern "C" __attribute__((global))
#define DEVICE static inline __attribute__((device, always_inline))
#define SHARED __attribute__((shared))
#define BOUNDS(threads) __attribute__((launch_bounds(threads)))
// PAIRED is BOUNDS for kernels of which two blocks are to share a multiprocessor.
#define PAIRED(threads) __attribute__((launch_bounds(threads, 2)))
// ALONE is BOUNDS for kernels of which a block has a multiprocessor to itself.
#define ALONE(threads) __attribute__((launch_bounds(threads, 1)))
#define UNROLL _Pragma("unroll")

typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;
typedef float f4 __attribute__((ext_vector_type(4)));

DEVICE int thread() { return __nvvm_read_ptx_sreg_tid_x(); }
DEVICE int threads() { return __nvvm_read_ptx_sreg_ntid_x(); }
DEVICE int blockX() { return __nvvm_read_ptx_sreg_ctaid_x(); }
DEVICE int blockY() { return __nvvm_read_ptx_sreg_ctaid_y(); }
DEVICE int blocksX() { return __nvvm_read_ptx_sreg_nctaid_x(); }
DEVICE i64 globalThread() { return (i64)blockX() * threads() + thread(); }
DEVICE i64 allThreads() { return (i64)blocksX() * threads(); }

DEVICE float minusInfinity() { return -__builtin_inff(); }
DEVICE int least(int a, int b) { return a < b ? a : b; }
DEVICE int most(int a, int b) { return a > b ? a : b; }

// exponential is e^x to about 2 units in the last place, held to [e^-87, e^88]; NaN stays NaN.
// log2(e) is taken in two parts, so that the error does not grow with x.
DEVICE float exponential(float x) {
  float y = __builtin_fminf(__builtin_fmaxf(x, -87.0f), 88.0f);
  float n = __builtin_rintf(y * 1.44269502f);
  float f = __builtin_fmaf(y, 1.44269502f, -n);
  f = __builtin_fmaf(y, 1.92596299e-8f, f);
  float r = __nvvm_ex2_approx_f(f) * __builtin_bit_cast(float, (u32)((int)n + 127) << 23);
  return x == x ? r : x;
}

DEVICE float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

// logarithm is the natural logarithm of a positive, normal x; anything else comes back as it is.
// With x = 2^e·m and s = (m−1)/(m+1), ln m = 2·(s + s³/3 + s⁵/5 + …).
DEVICE double logarithm(double x) {
  if (!(x > 0.0 && x < __builtin_inf())) return x;
  u64 bits = __builtin_bit_cast(u64, x);
  int e = (int)(bits >> 52) - 1023;
  double m = __builtin_bit_cast(double, (bits & 0xfffffffffffffULL) | 0x3ff0000000000000ULL);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    e++;
  }
  double s = (m - 1.0) / (m + 1.0), q = s * s, sum = 0.0;
  UNROLL for (int k = 21; k >= 1; k -= 2) sum = sum * q + 1.0 / (double)k;
  return (double)e * 0.6931471805599453 + 2.0 * s * sum;
}

// sineCosine reduces by multiples of π/2 held in three doubles, then takes Taylor's polynomials.
DEVICE void sineCosine(double x, double *sine, double *cosine) {
  double k = __builtin_rint(x * 0.6366197723675814);
  double r = __nvvm_fma_rn_d(-k, 1.5707963267948966, x);
  r = __nvvm_fma_rn_d(-k, 6.123233995736766e-17, r);
  r = __nvvm_fma_rn_d(-k, -1.4973849048591833e-33, r);
  double q = r * r, s = 1.0, c = 1.0;
  UNROLL for (int n = 16; n >= 2; n -= 2) {
    s = 1.0 - s * q * (1.0 / (double)(n * (n + 1)));
    c = 1.0 - c * q * (1.0 / (double)(n * (n - 1)));
  }
  s *= r;
  int quadrant = (int)((i64)k & 3);
  *sine = quadrant == 0 ? s : quadrant == 1 ? c : quadrant == 2 ? -s : -c;
  *cosine = quadrant == 0 ? c : quadrant == 1 ? -s : quadrant == 2 ? -c : s;
}

DEVICE float exchange(float v, int mask) {
  return __nvvm_shfl_sync_bfly_f32(0xffffffffu, v, mask, 31);
}

DEVICE double exchange(double v, int mask) {
  u64 bits = __builtin_bit_cast(u64, v);
  u32 low = __nvvm_shfl_sync_bfly_i32(0xffffffffu, (int)bits, mask, 31);
  u32 high = __nvvm_shfl_sync_bfly_i32(0xffffffffu, (int)(bits >> 32), mask, 31);
  return __builtin_bit_cast(double, (u64)high << 32 | low);
}

// blockSum is the sum over the block, in a fixed order, in every thread. The block has a multiple
// of 32 threads, at most 1024; scratch holds 32 values in shared memory.
DEVICE double blockSum(double v, double *scratch) {
  for (int mask = 16; mask > 0; mask >>= 1) v += exchange(v, mask);
  if (thread() % 32 == 0) scratch[thread() / 32] = v;
  __syncthreads();
  double sum = 0.0;
  for (int w = 0; w < threads() / 32; w++) sum += scratch[w];
  __syncthreads();
  return sum;
}

// blockMost is the largest value over the block, in every thread; NaN is passed over.
DEVICE float blockMost(float v, float *scratch) {
  for (int mask = 16; mask > 0; mask >>= 1) v = __builtin_fmaxf(v, exchange(v, mask));
  if (thread() % 32 == 0) scratch[thread() / 32] = v;
  __syncthreads();
  float top = scratch[0];
  for (int w = 1; w < threads() / 32; w++) top = __builtin_fmaxf(top, scratch[w]);
  __syncthreads();
  return top;
}
