#include "tensor_attention.h"

TENSOR_ATTENTIONS(f16, f16)
