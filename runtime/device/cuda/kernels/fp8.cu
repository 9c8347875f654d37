// Linear modules with weights and activations in e4m3.
#include "fp8.h"

STORED(quantize_rows_fp8, (u8 *codes, float *scale, const S *x, const float *by, int K), (codes, scale, x, by, K))

// dst = what the codes of x, times `by` by column, stand for, divided by it again. One block to a row.
template <class S> DEVICE void requantize_rows_fp8(S *dst, const S *x, const float *by, int K) {
  S *out = dst + (i64)blockX() * K;
  bool all = aligned(x) && aligned(dst) && (!by || aligned(by)) && K % 16 == 0;
  roundedRow<S, false>(x + (i64)blockX() * K, by, K, all, [=](int i, auto c, Floats<c.n> v, float f, float s) {
    UNROLL for (int k = 0; k < c.n; k++) {
      v.at[k] = s * fromE4M3(toE4M3(__nvvm_mul_rn_f(v.at[k], f)));
      if (by) v.at[k] = by[i + k] == 0.0f ? 0.0f : v.at[k] / by[i + k];
    }
    store<c.n>(out + i, v);
  });
}
STORED(requantize_rows_fp8, (S *dst, const S *x, const float *by, int K), (dst, x, by, K))

// dst[n,i] = scale[n]·codes[n,from+i] for i < width. One block to a row of K codes.
template <class S> DEVICE void dequantize_fp8(S *dst, const u8 *codes, const float *scale, int K, int from, int width) {
  const u8 *row = codes + (i64)blockX() * K + from;
  S *out = dst + (i64)blockX() * width;
  float s = scale[blockX()];
  if (width % 16 == 0 && aligned(row) && aligned(out)) {
    for (int i = thread() * 16; i < width; i += threads() * 16) {
      w4 words = *(const w4 *)(row + i);
      UNROLL for (int part = 0; part < 16; part += wide<S>()) {
        Floats<wide<S>()> v;
        UNROLL for (int k = 0; k < wide<S>(); k++) v.at[k] = s * fromE4M3(words[(part + k) / 4] >> (part + k) % 4 * 8 & 255u);
        store<wide<S>()>(out + i + part, v);
      }
    }
  } else {
    for (int i = thread(); i < width; i += threads()) out[i] = (S)(s * fromE4M3(row[i]));
  }
}
STORED(dequantize_fp8, (S *dst, const u8 *codes, const float *scale, int K, int from, int width),
       (dst, codes, scale, K, from, width))

DEVICE u32 bytesOf(u32 a, u32 b, u32 which) { return __nvvm_prmt(a, b, which); }

// dst[k,n] = src[n,k] for k < K, of bytes; N, K and the stride of src are multiples of 16 and both aligned. Tiles of
// 128 by 128, a block of 256 threads to each, four rows by sixteen columns to a thread.
KERNEL void BOUNDS(256) transpose_bytes(u8 *dst, const u8 *src, int N, int K, int stride) {
  // Row k of the tile's transpose, in words of four n. Groups of four words are exchanged by k, so that neither
  // writing nor reading meets in a bank.
  SHARED static __attribute__((aligned(16))) u32 tile[128][32];
  int across = thread() % 8, down = thread() / 8;
  int k = blockX() * 128 + across * 16, n = blockY() * 128 + down * 4;
  if (k < K && n < N) {
    w4 rows[4];
    UNROLL for (int r = 0; r < 4; r++) rows[r] = *(const w4 *)(src + (i64)(n + r) * stride + k);
    UNROLL for (int w = 0; w < 4; w++) {
      u32 ab = bytesOf(rows[0][w], rows[1][w], 0x5140), cd = bytesOf(rows[2][w], rows[3][w], 0x5140);
      u32 ef = bytesOf(rows[0][w], rows[1][w], 0x7362), gh = bytesOf(rows[2][w], rows[3][w], 0x7362);
      int at = down ^ across * 4;
      tile[across * 16 + w * 4][at] = bytesOf(ab, cd, 0x5410);
      tile[across * 16 + w * 4 + 1][at] = bytesOf(ab, cd, 0x7632);
      tile[across * 16 + w * 4 + 2][at] = bytesOf(ef, gh, 0x5410);
      tile[across * 16 + w * 4 + 3][at] = bytesOf(ef, gh, 0x7632);
    }
  }
  __syncthreads();
  n = blockY() * 128 + across * 16;
  if (n >= N) return;
  UNROLL for (int pass = 0; pass < 4; pass++) {
    int row = pass * 32 + down;
    k = blockX() * 128 + row;
    if (k < K) *(w4 *)(dst + (i64)k * N + n) = *(const w4 *)&tile[row][across * 4 ^ row / 16 * 4];
  }
}
