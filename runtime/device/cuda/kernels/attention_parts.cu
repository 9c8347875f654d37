// What attention's kernels of both kinds need beside them, apart from those since each file is compiled whole.
#include "tensor_attention.h"

NARROW(attention_means, (f2 *stats, const float *kept, const S *result, const S *dy, int padded, SHAPE_ARGUMENTS),
       (stats, kept, result, dy, padded, SHAPE))
NARROW(gather_parts, (S *dst, const float *parts, i64 n, int count), (dst, parts, n, count))
