package cpu

// kernels is a set of inner loops for one instruction set. All spans of one call have the length of
// the first, unless said otherwise; none is empty.
type kernels struct {
	name  string
	level SIMD

	// tile: c[mr,nr] = a·b, or += with add. a is packed [k][mr], b is packed [k][nr], c has row
	// stride ldc. k is at least 1.
	mr, nr int
	tile   func(k int, a, b, c *float32, ldc int, add bool)
	// half, where there is one, computes the left half of a tile's columns and leaves the rest.
	half func(k int, a, b, c *float32, ldc int, add bool)
	// copyRows packs k rows of lanes elements: dst[j·step+i] = src[j·ld+i], zero for lanes ≤ i < step.
	copyRows func(dst *float32, step int, src *float32, ld, lanes, k int)
	// transpose packs lanes rows of src (row stride ld) side by side: dst[k·step+i] = src[i·ld+k] for
	// i < lanes, k < cols; where rows < lanes the last row is repeated. lanes is at most 16.
	transpose func(dst *float32, step int, src *float32, ld, lanes, rows, cols int)

	dot   func(x, y []float32) float32
	dot64 func(x, y []float32) float64 // products and sums in float64
	// dot4: out[i] = x · w[i·ld : i·ld+len(x)] for four rows.
	dot4 func(out *[4]float32, x []float32, w *float32, ld int)

	add   func(dst, x, y []float32)
	mul   func(dst, x, y []float32)
	scale func(dst, x []float32, a float32)
	axpy  func(y, x []float32, a float32)         // y += a·x
	axpby func(dst, x, y []float32, a, b float32) // dst = a·x + b·y
	axxpy func(z, x, y []float32, a float32)      // z += a·x·y

	largest func(x []float32) float32
	// expSum: dst = exp(x − shift), but 0 where x − shift < −69 (1e-30): smaller values add nothing to
	// a sum with 1 in it, and products of them are denormal, which costs a hundred times more. Gives
	// the sum of dst.
	expSum func(dst, x []float32, shift float32) float32
	// softmaxGrad: ds = p·(dp − mean)·scale.
	softmaxGrad func(ds, p, dp []float32, mean, scale float32)
	swiglu      func(dst, gate, up []float32)
	swigluGrad  func(dgate, dup, gate, up, dy []float32)

	// blockMul: each 8-vector of x times m: dst_i = Σ_j m[8j+i]·x_j.
	blockMul func(dst, x []float32, m *[64]float32)
	// outer8: m[8i+j] += Σ y_i·x_j over the 8-vectors of x and y.
	outer8 func(m *[64]float32, x, y []float32)

	// dropout masks x, whose first element has the counter given and lane 0.
	dropout func(dst, x []float32, counter uint32, m *mask)

	adamw func(p, g, m, v []float32, c *adamConstants)
}

// adamConstants are the factors of one AdamW step, in the order the kernels load them.
type adamConstants struct {
	decay     float32 // 1 − lr·wd
	beta1     float32
	oneBeta1  float32 // 1 − beta1
	beta2     float32
	oneBeta2  float32
	step      float32 // lr / (1 − beta1^t)
	rootScale float32 // 1 / sqrt(1 − beta2^t)
	eps       float32
}
