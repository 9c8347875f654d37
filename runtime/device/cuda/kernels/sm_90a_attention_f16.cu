#include "warpgroup_attention.h"

WARPGROUP_ATTENTION(f16, f16, 64)
WARPGROUP_ATTENTION(f16, f16, 128)
