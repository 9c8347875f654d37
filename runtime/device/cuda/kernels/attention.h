// What the attention kernels share.
#pragma once
#include "device.h"

struct Shape {
  int queries, keys, heads, keyHeads, dim, window;
  float scale;
};

DEVICE int blocksY() { return __nvvm_read_ptx_sreg_nctaid_y(); }

// The key ranges of a tile's queries under the window, empty past the last query.
template <int B> DEVICE void loadRanges(int *low, int *high, const int *lo, const int *hi, int from, Shape n) {
  if (thread() < B) {
    int t = from + thread();
    int l = t < n.queries ? lo[t] : 0, h = t < n.queries ? hi[t] : 0;
    if (n.window > 0) l = most(l, h - n.window);
    low[thread()] = l < h ? l : 0;
    high[thread()] = l < h ? h : 0;
  }
}

// The span of keys that a tile's queries read.
template <int B> DEVICE void span(const int *low, const int *high, int *first, int *last) {
  int f = 0x7fffffff, l = 0;
  for (int i = 0; i < B; i++) {
    if (low[i] < high[i]) {
      f = least(f, low[i]);
      l = most(l, high[i]);
    }
  }
  *first = f;
  *last = l;
}

// What the backward pass keeps of a query and head is four floats: the largest score, one over
// Σ exp(score − largest), the mean of dP = dy·vᵀ under the weights P, and one unused.
