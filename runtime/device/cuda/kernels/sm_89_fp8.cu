// The kernel of this name in fp8.cu with the instruction that cards have from Ada on.
#define E4M3_UNIT
#include "fp8.h"

NARROW(quantize_rows_fp8, (u8 *codes, float *scale, const S *x, const float *by, int K), (codes, scale, x, by, K))
