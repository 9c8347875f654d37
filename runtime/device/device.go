// Package device is the compute interface of the engine: memory and the operations that a
// transformer needs. Implementations: reference (float64, plain loops, the oracle of every test)
// and cpu (float32, SIMD, all cores). The package compliance holds any implementation to reference.
//
// Conventions. All tensors are dense and row-major. T counts tokens (rows of activations), D is a
// hidden width. A Float buffer holds the device's own float type (float32 on cpu and cuda, float64 in
// reference); index buffers hold int32.
//
// Storage types. Where a device has BFloat16 or Float16, activations and matrices may be stored so:
// in each call all of them have one type S, which may also be Float. Vectors and scalars stay Float
// always: norm weights, biases, rotary frequencies, nll and dnll, magnitudes, scales, SO(8) matrices and
// generators, and the results of SumRows, Dot, RMSNormGradW, PET, SquaredSum, BlockMulGradM. MatMul
// may besides write a Float dst from narrow operands. Arithmetic is float32 whatever is stored; a
// narrow result is rounded once, to nearest even. Copy converts between float types. Sizes count elements. A destination may be the same buffer as an input only where
// the method says so. Reductions have a fixed order, so the same inputs give the same bytes,
// whatever the number of threads.
//
// Methods that launch work return no error: shapes were checked when the graph was compiled. What
// can still be wrong (an index outside its table, a buffer that is too short or of another device)
// leaves every destination as it was and is reported by Sync. A buffer may be longer than the
// operation needs; the element-wise ones work on the length of dst. Element-wise operations and
// those marked "in place" may have dst be an input of the same size; all others may not, and no
// destination may overlap an input in part.
package device

import (
	"errors"
	"fmt"
	"strings"
)

// DType is the element type of a Buffer.
type DType uint8

const (
	Float    DType = iota // the device's float type
	Int32                 // indices: token ids, positions, ranges
	BFloat16              // storage of activations and matrices, where the device has it
	Float16               // the same in IEEE half precision
	Int8                  // quantized weights, in int8 or e4m3, and optimizer states
)

// String names the type.
func (d DType) String() string {
	switch d {
	case Int32:
		return "int32"
	case BFloat16:
		return "bfloat16"
	case Float16:
		return "float16"
	case Int8:
		return "int8"
	}
	return "float"
}

// IsFloat tells whether elements are fractions: Float, BFloat16 or Float16.
func (d DType) IsFloat() bool { return d == Float || d == BFloat16 || d == Float16 }

// ErrNoDType is wrapped by Alloc where the device has no such element type.
var ErrNoDType = errors.New("element type not available on this device")

// ErrOutOfMemory is returned by Alloc, wrapped with the sizes, when the device has no room.
var ErrOutOfMemory = errors.New("device out of memory")

// Buffer is a span of device memory.
type Buffer interface {
	// Len is the number of elements.
	Len() int
	// DType is the element type.
	DType() DType
	// Slice is the span [from, to) of the same memory.
	Slice(from, to int) Buffer
}

// Info describes a device for run records.
type Info struct {
	Name    string // "cpu", "reference"
	Model   string // processor or card
	Threads int    // worker threads, 0 where it does not apply
	SIMD    string // "avx512", "avx2", "none"
	Memory  int64  // bytes, 0 when unknown
}

// String is name, model, threads and SIMD, as far as they apply.
func (i Info) String() string {
	parts := []string{i.Name}
	if i.Model != "" {
		parts = append(parts, i.Model)
	}
	if i.Threads > 0 {
		parts = append(parts, fmt.Sprintf("%d threads", i.Threads))
	}
	if i.SIMD != "" {
		parts = append(parts, i.SIMD)
	}
	return strings.Join(parts, ", ")
}

// Device allocates memory, moves it and runs operations in the order they were called.
type Device interface {
	Info() Info
	// Alloc returns n zeroed elements.
	Alloc(t DType, n int) (Buffer, error)
	// Free gives a buffer from Alloc back; its slices die with it.
	Free(Buffer)
	// Upload copies src ([]float32, []float64 or []int32, converted to dst's type; []int8 for Int8) to
	// dst. The lengths must agree.
	Upload(dst Buffer, src any) error
	// Download copies src to dst ([]float32, []float64, []int32; []int8 from Int8) after all earlier
	// work is done.
	// It returns, and leaves to Sync, the error of an earlier operation.
	Download(dst any, src Buffer) error
	// Sync waits for all earlier work and returns its first error since the last Sync.
	Sync() error
	// Close frees what the device holds.
	Close() error

	Elementwise
	Linear
	Transformer
	SO8
	Optimizer
	Quantized
	FP8
	DoRA
}

// Elementwise operations. dst may be any of the inputs.
type Elementwise interface {
	// Fill sets every element to v.
	Fill(dst Buffer, v float64)
	// Copy copies src to dst, from one float type to another where they differ.
	Copy(dst, src Buffer)
	// Add: dst = a + b.
	Add(dst, a, b Buffer)
	// Mul: dst = a · b, element by element.
	Mul(dst, a, b Buffer)
	// Scale: dst = s · a.
	Scale(dst, a Buffer, s float64)
	// ScaleBy: dst = s[0] · a, with s on the device.
	ScaleBy(dst, a, s Buffer)
	// AddBias: dst[t,n] = a[t,n] + bias[n]; a is [T,N]. In place.
	AddBias(dst, a, bias Buffer, T, N int)
	// Dropout: dst = keep ? x/(1-rate) : 0. The mask of element i is a pure function of
	// (key[0], key[1], stream, i): Philox4x32-10 with counter (i/4, 0, stream, 0) and key
	// (uint32(key[0]), uint32(key[1])); lane i%4 of the output, as a 32-bit fraction, keeps the
	// element when it is at least rate. Its gradient is the same call on dy. key is Int32[2].
	Dropout(dst, x, key Buffer, stream uint32, rate float64)
	// SwiGLU: dst = silu(gate) · up.
	SwiGLU(dst, gate, up Buffer)
	// SwiGLUGrad gives the gradients with respect to gate and up.
	SwiGLUGrad(dgate, dup, gate, up, dy Buffer)
}

// Linear algebra and reductions.
type Linear interface {
	// MatMul: dst[M,N] = op(a)·op(b), plus dst itself when accumulate is set. op(a) is [M,K]: a is
	// stored [M,K], or [K,M] with transA; op(b) is [K,N]: b is stored [K,N], or [N,K] with transB.
	MatMul(dst, a, b Buffer, M, N, K int, transA, transB, accumulate bool)
	// SumRows: dst[n] = Σ_t a[t,n].
	SumRows(dst, a Buffer, T, N int)
	// Dot: dst[0] = Σ_i a[i]·b[i].
	Dot(dst, a, b Buffer)
}

// AttentionShape gives the sizes of an attention call.
type AttentionShape struct {
	Queries, Keys           int // rows of q; rows of k and v
	Heads, KVHeads, HeadDim int // Heads is a multiple of KVHeads
	Scale                   float64
	// Window, where positive, is the most keys a query sees: its range then starts at
	// max(lo, hi−Window). 0 leaves the range as it is.
	Window int
}

// Transformer operations.
type Transformer interface {
	// Embedding: dst[t,:] = table[ids[t],:]. Also gathers rows of any matrix.
	Embedding(dst, table, ids Buffer, T, D int)
	// EmbeddingGrad: dst[V,D] = 0, then dst[ids[t],:] += dy[t,:] in order of t.
	EmbeddingGrad(dst, ids, dy Buffer, T, V, D int)
	// RMSNorm: dst[t,d] = w[d] · x[t,d] / sqrt(mean_d(x²) + eps)  (Zhang & Sennrich 2019). In place.
	RMSNorm(dst, x, w Buffer, T, D int, eps float64)
	// RMSNormGradX gives the gradient with respect to x. In place for dy.
	RMSNormGradX(dst, x, w, dy Buffer, T, D int, eps float64)
	// RMSNormGradW gives the gradient with respect to w, [D].
	RMSNormGradW(dst, x, dy Buffer, T, D int, eps float64)
	// Rotary turns the first 2·pairs ≤ headDim dimensions of each head of x[T, heads·headDim] by the
	// angles pos[t]·freq[i], i < pairs, in the half-split convention of Hugging Face (element i pairs with
	// i+pairs), and multiplies them by scale; the other dimensions are copied. inverse turns back (its
	// gradient, with the same scale). freq is [pairs]. The angle is the product rounded to the device's
	// float type, as Hugging Face computes it. In place.
	Rotary(dst, x, pos, freq Buffer, T, heads, headDim, pairs int, scale float64, inverse bool)
	// Attention: query row t attends to key rows lo[t] ≤ j < hi[t], of which it sees the last Window
	// where that is positive; softmax(q·kᵀ·Scale)·v. q and dst
	// are [Queries, Heads·HeadDim], k and v [Keys, KVHeads·HeadDim]; query head h reads key head
	// h/(Heads/KVHeads). An empty range gives zeros. Packed causal training has lo = start of the
	// token's sequence and hi = t+1; a key-value cache has Keys > Queries.
	Attention(dst, q, k, v, lo, hi Buffer, s AttentionShape)
	// AttentionGrad gives the gradients with respect to q, k and v (overwritten).
	AttentionGrad(dq, dk, dv, q, k, v, lo, hi, dy Buffer, s AttentionShape)
	// CacheWrite: cache[slots[t],:] = x[t,:] for the T rows of x, in order of t.
	CacheWrite(cache, x, slots Buffer, T, D int)
	// CrossEntropy: nll[t] = logsumexp_v(h[t]·w[v]) − h[t]·w[labels[t]], 0 where labels[t] < 0. The
	// logits [T,V] are never held whole, and rows without a label are not computed. h is [T,D], w [V,D].
	CrossEntropy(nll, h, w, labels Buffer, T, D, V int)
	// CrossEntropyGrad gives dh[T,D] and, where dw is not nil, dw[V,D], from dnll[T]; rows without a
	// label get 0.
	CrossEntropyGrad(dh, dw, h, w, labels, dnll Buffer, T, D, V int)
}

// SO8 operations: rotations in blocks of eight dimensions. D is a multiple of 8.
type SO8 interface {
	// SkewExp: dst[8,8] = exp(A), A skew-symmetric from its 28 entries above the diagonal, row by row.
	SkewExp(dst, a Buffer)
	// SkewExpGrad: da[28] from the gradient dr[8,8] of the rotation.
	SkewExpGrad(da, a, dr Buffer)
	// BlockMul: each 8-vector b of each row, dst_b = m·x_b, or mᵀ·x_b with trans. m is [8,8]. In place for x.
	BlockMul(dst, x, m Buffer, T, D int, trans bool)
	// BlockMulGradM: dm[8,8] = Σ over rows and blocks of dy_b·x_bᵀ.
	BlockMulGradM(dm, x, dy Buffer, T, D int)
	// PET: dst[0] = mean over the valid t and all d of (h[t] − 2h[t−1] + h[t−2])², where t is valid when
	// t−2 ≥ lo[t]; 0 when none is.
	PET(dst, h, lo Buffer, T, D int)
	// PETGrad: dh from the gradient dy[0] of PET.
	PETGrad(dh, h, lo, dy Buffer, T, D int)
}

// AdamW holds the constants of one step; t counts from 1 (Loshchilov & Hutter 2019, in the order
// PyTorch uses: decay first, then the moment update).
type AdamW struct {
	LR, Beta1, Beta2, Eps, WeightDecay float64
	Step                               int
}

// Optimizer operations.
type Optimizer interface {
	// SquaredSum: dst[0] = Σ a², accumulated in float64.
	SquaredSum(dst, a Buffer)
	// AdamWStep: p −= lr·wd·p; m, v updated from g; p −= lr·m̂/(√v̂ + eps).
	AdamWStep(p, g, m, v Buffer, c AdamW)
}
