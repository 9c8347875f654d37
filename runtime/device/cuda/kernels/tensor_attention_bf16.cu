#include "tensor_attention.h"

TENSOR_ATTENTIONS(bf16, bf16)
