// Package lora holds low-rank adapters (Hu et al. 2021, arXiv 2106.09685): for a linear module
// y = x·Wᵀ an adapter adds scaling · dropout(x)·Aᵀ·Bᵀ, with A [r, in] and B [out, r]. Adapters are
// read and written as the peft library does.
package lora
