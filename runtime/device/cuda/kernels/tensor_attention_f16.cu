#include "tensor_attention.h"

TENSOR_ATTENTIONS(Float16, f16)
