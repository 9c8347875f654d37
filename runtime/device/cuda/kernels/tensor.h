// What the attention kernels over 16-bit storage share.
#pragma once
#include "attention.h"
#include "storage.h"

typedef float f2 __attribute__((ext_vector_type(2)));
typedef u32 words4 __attribute__((ext_vector_type(4)));

#define PRODUCT(TYPE)                                                                                                  \
  asm("mma.sync.aligned.m16n8k16.row.col.f32." TYPE "." TYPE ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "            \
      "{%0,%1,%2,%3};"                                                                                                 \
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                                                                 \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1))

// c[16,8] += a[16,16]·b[16,8]. Lane 4g+t holds of c the rows g (c0, c1) and g+8 (c2, c3), columns 2t
// and 2t+1.
template <class S> DEVICE void multiply(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  if constexpr (__is_same(S, bf16)) PRODUCT("bf16");
  else PRODUCT("f16");
}

DEVICE int lane() { return thread() % 32; }
DEVICE int warp() { return thread() / 32; }
DEVICE float power2(float x) { return __nvvm_ex2_approx_ftz_f(x); }

static const float log2e = 1.44269504f;

// The key range of a query under the window; empty past the last query.
DEVICE void range(int t, const int *lo, const int *hi, const Shape &n, int *low, int *high) {
  int l = t < n.queries ? lo[t] : 0, h = t < n.queries ? hi[t] : 0;
  *low = n.window > 0 ? most(l, h - n.window) : l;
  *high = h;
}

DEVICE float rowMost(float v) {
  v = __builtin_fmaxf(v, exchange(v, 1));
  return __builtin_fmaxf(v, exchange(v, 2));
}

DEVICE float rowSum(float v) {
  v += exchange(v, 1);
  return v + exchange(v, 2);
}

#define SHAPE_ARGUMENTS int queries, int keys, int heads, int keyHeads, int dim, int window, float scale
#define SHAPE ((Shape){queries, keys, heads, keyHeads, dim, window, scale})
