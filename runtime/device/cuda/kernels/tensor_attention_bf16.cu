#include "tensor_attention.h"

TENSOR_ATTENTIONS(BFloat16, bf16)
