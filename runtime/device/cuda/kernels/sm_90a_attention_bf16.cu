#include "warpgroup_attention.h"

WARPGROUP_ATTENTION(bf16, bf16, 64)
WARPGROUP_ATTENTION(bf16, bf16, 128)
