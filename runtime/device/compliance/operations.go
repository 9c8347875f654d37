package compliance

import (
	"fmt"
	"slices"

	"triality/runtime/device"
)

type bufs = []device.Buffer

func operations() []operation {
	return slices.Concat(elementwise(), matmul(), productSums(), adaptedSwiGLU(), reductions(), rows(), attention(), crossEntropy(), focal(), so8(), optimizer(), dora(), quantized(), fp8())
}

// on leaves out what a device need not have and has not.
func on(d device.Device, ops []operation) []operation {
	return slices.DeleteFunc(ops, func(op operation) bool { return op.needs != nil && !op.needs(d) })
}

// sizes straddle the vector widths and the block sizes of the kernels.
var sizes = []int{1, 7, 8, 16, 31, 64, 1000, 33_003}

func elementwise() []operation {
	var ops []operation
	for _, n := range sizes {
		add := func(name string, inputs int, launch func(d device.Device, o, x, i bufs), vectors ...int) {
			in := make([]int, inputs)
			for i := range in {
				in[i] = n
			}
			ops = append(ops, operation{name: fmt.Sprintf("%s of %d", name, n), floats: in,
				ints: [][]int32{{-5, 77}}, outs: []int{n}, launch: launch, vectors: vectors})
		}
		add("fill", 0, func(d device.Device, o, x, i bufs) { d.Fill(o[0], 0.3) })
		add("copy", 1, func(d device.Device, o, x, i bufs) { d.Copy(o[0], x[0]) })
		add("add", 2, func(d device.Device, o, x, i bufs) { d.Add(o[0], x[0], x[1]) })
		add("add in place", 1, func(d device.Device, o, x, i bufs) { d.Add(o[0], x[0], o[0]) })
		add("mul", 2, func(d device.Device, o, x, i bufs) { d.Mul(o[0], x[0], x[1]) })
		add("mul in place", 1, func(d device.Device, o, x, i bufs) { d.Mul(o[0], o[0], x[0]) })
		add("scale", 1, func(d device.Device, o, x, i bufs) { d.Scale(o[0], x[0], -1.7) })
		add("scale in place", 0, func(d device.Device, o, x, i bufs) { d.Scale(o[0], o[0], 0.1) })
		add("scale by", 2, func(d device.Device, o, x, i bufs) { d.ScaleBy(o[0], x[0], x[1].Slice(0, 1)) }, 1)
		add("dropout", 1, func(d device.Device, o, x, i bufs) { d.Dropout(o[0], x[0], i[0], 9, 0.25) })
		add("dropout in place at rate zero", 0, func(d device.Device, o, x, i bufs) { d.Dropout(o[0], o[0], i[0], 1, 0) })
		add("swiglu", 2, func(d device.Device, o, x, i bufs) { d.SwiGLU(o[0], x[0], x[1]) })
		add("swiglu of large gates in place", 1, func(d device.Device, o, x, i bufs) {
			d.Scale(o[0], o[0], 50)
			d.SwiGLU(o[0], o[0], x[0])
		})
		ops = append(ops, operation{name: fmt.Sprintf("swiglu grad of %d", n), floats: []int{n, n, n}, outs: []int{n, n},
			launch: func(d device.Device, o, x, i bufs) { d.SwiGLUGrad(o[0], o[1], x[0], x[1], x[2]) }})
		ops = append(ops, operation{name: fmt.Sprintf("swiglu grad of %d over its inputs", n), floats: []int{n}, outs: []int{n, n},
			launch: func(d device.Device, o, x, i bufs) { d.SwiGLUGrad(o[0], o[1], o[0], o[1], x[0]) }})
	}
	return ops
}

func matmul() []operation {
	var ops []operation
	shapes := [][3]int{
		{1, 1, 1}, {1, 17, 33}, {2, 64, 128}, {3, 5, 7}, {4, 130, 259}, {5, 31, 1}, {7, 384, 100}, {8, 33, 16}, {9, 8, 8},
		{13, 47, 65}, {14, 32, 16}, {15, 33, 17}, {28, 64, 256}, {61, 100, 520}, {128, 96, 64}, {200, 8, 300}, {90, 1100, 30}, {256, 1, 19}, {1, 1, 700},
	}
	for _, s := range shapes {
		M, N, K := s[0], s[1], s[2]
		for bits := range 8 {
			transA, transB, accumulate := bits&1 != 0, bits&2 != 0, bits&4 != 0
			ops = append(ops, operation{
				name:   fmt.Sprintf("matmul %dx%dx%d transA=%v transB=%v accumulate=%v", M, N, K, transA, transB, accumulate),
				floats: []int{M * K, K * N}, outs: []int{M * N},
				launch: func(d device.Device, o, x, i bufs) {
					d.MatMul(o[0], x[0], x[1], M, N, K, transA, transB, accumulate)
				}})
		}
	}
	ops = append(ops, operation{name: "matmul over nothing is zero", floats: []int{0, 0}, outs: []int{12},
		launch: func(d device.Device, o, x, i bufs) { d.MatMul(o[0], x[0], x[1], 3, 4, 0, false, false, false) }})
	ops = append(ops, operation{name: "matmul accumulates nothing", floats: []int{0, 0}, outs: []int{12},
		launch: func(d device.Device, o, x, i bufs) { d.MatMul(o[0], x[0], x[1], 3, 4, 0, false, true, true) }})
	ops = append(ops, operation{name: "matmul of slices", floats: []int{400, 400}, outs: []int{300},
		launch: func(d device.Device, o, x, i bufs) {
			d.MatMul(o[0].Slice(3, 3+15*17), x[0].Slice(1, 1+15*19), x[1].Slice(5, 5+19*17), 15, 17, 19, false, false, false)
		}})
	return ops
}

func reductions() []operation {
	var ops []operation
	for _, n := range append(sizes, 150_001) {
		ops = append(ops,
			operation{name: fmt.Sprintf("dot of %d", n), floats: []int{n}, outs: []int{1}, sums: []int{0},
				launch: func(d device.Device, o, x, i bufs) { d.Dot(o[0], x[0], x[0]) }},
			operation{name: fmt.Sprintf("squared sum of %d", n), floats: []int{n}, outs: []int{1}, sums: []int{0},
				launch: func(d device.Device, o, x, i bufs) { d.SquaredSum(o[0], x[0]) }})
	}
	for _, s := range [][2]int{{1, 1}, {3, 5}, {70, 33}, {1000, 16}, {513, 129}} {
		T, N := s[0], s[1]
		ops = append(ops,
			operation{name: fmt.Sprintf("sum of %d rows of %d", T, N), floats: []int{T * N}, outs: []int{N}, sums: []int{0},
				launch: func(d device.Device, o, x, i bufs) { d.SumRows(o[0], x[0], T, N) }},
			operation{name: fmt.Sprintf("bias for %d rows of %d", T, N), floats: []int{T * N, N}, outs: []int{T * N}, vectors: []int{1},
				launch: func(d device.Device, o, x, i bufs) { d.AddBias(o[0], x[0], x[1], T, N) }},
			operation{name: fmt.Sprintf("bias for %d rows of %d in place", T, N), floats: []int{N}, outs: []int{T * N}, vectors: []int{0},
				launch: func(d device.Device, o, x, i bufs) { d.AddBias(o[0], o[0], x[0], T, N) }})
	}
	return ops
}

// spread gives n indices below limit, with repeats.
func spread(n, limit int) []int32 {
	v := make([]int32, n)
	for i := range v {
		v[i] = int32((i*i + 3*i) % limit)
	}
	return v
}

func rows() []operation {
	var ops []operation
	for _, s := range [][2]int{{1, 1}, {3, 7}, {33, 16}, {130, 129}, {65, 512}} {
		T, D, V := s[0], s[1], 11
		name := fmt.Sprintf(" of %d rows of %d", T, D)
		slots := make([]int32, T)
		for i := range slots {
			slots[i] = int32(T + 4 - i)
		}
		ops = append(ops,
			operation{name: "embedding" + name, floats: []int{V * D}, ints: [][]int32{spread(T, V)}, outs: []int{T * D},
				launch: func(d device.Device, o, x, i bufs) { d.Embedding(o[0], x[0], i[0], T, D) }},
			operation{name: "embedding grad" + name, floats: []int{T * D}, ints: [][]int32{spread(T, V)}, outs: []int{V * D},
				launch: func(d device.Device, o, x, i bufs) { d.EmbeddingGrad(o[0], i[0], x[0], T, V, D) }},
			operation{name: "cache write" + name, floats: []int{T * D}, ints: [][]int32{slots}, outs: []int{(T + 9) * D},
				launch: func(d device.Device, o, x, i bufs) { d.CacheWrite(o[0], x[0], i[0], T, D) }},
			operation{name: "rmsnorm" + name, floats: []int{T * D, D}, outs: []int{T * D}, vectors: []int{1},
				launch: func(d device.Device, o, x, i bufs) { d.RMSNorm(o[0], x[0], x[1], T, D, 1e-5) }},
			operation{name: "rmsnorm in place" + name, floats: []int{D}, outs: []int{T * D}, vectors: []int{0},
				launch: func(d device.Device, o, x, i bufs) { d.RMSNorm(o[0], o[0], x[0], T, D, 1e-5) }},
			operation{name: "rmsnorm grad x" + name, floats: []int{T * D, D, T * D}, outs: []int{T * D}, vectors: []int{1},
				launch: func(d device.Device, o, x, i bufs) { d.RMSNormGradX(o[0], x[0], x[1], x[2], T, D, 1e-2) }},
			operation{name: "rmsnorm grad x plus another" + name, floats: []int{T * D, D, T * D, T * D}, outs: []int{T * D}, vectors: []int{1}, needs: hasNormGradSums,
				launch: func(d device.Device, o, x, i bufs) {
					d.(device.NormGradSum).RMSNormGradXAdd(o[0], x[3], x[0], x[1], x[2], T, D, 1e-2)
				}},
			operation{name: "rmsnorm grad x plus itself" + name, floats: []int{T * D, D, T * D}, outs: []int{T * D}, vectors: []int{1}, needs: hasNormGradSums,
				launch: func(d device.Device, o, x, i bufs) {
					d.(device.NormGradSum).RMSNormGradXAdd(o[0], o[0], x[0], x[1], x[2], T, D, 1e-2)
				}},
			operation{name: "rmsnorm grad x over dy" + name, floats: []int{T * D, D}, outs: []int{T * D}, vectors: []int{1},
				launch: func(d device.Device, o, x, i bufs) { d.RMSNormGradX(o[0], x[0], x[1], o[0], T, D, 1e-2) }},
			operation{name: "rmsnorm grad w" + name, floats: []int{T * D, T * D}, outs: []int{D}, sums: []int{0},
				launch: func(d device.Device, o, x, i bufs) { d.RMSNormGradW(o[0], x[0], x[1], T, D, 1e-5) }})
	}
	for _, s := range [][4]int{{1, 1, 2, 1}, {5, 3, 6, 3}, {40, 4, 32, 16}, {9, 2, 128, 64}, {9, 2, 128, 48}, {5, 3, 8, 3}, {7, 2, 32, 4}} {
		T, heads, dim, pairs := s[0], s[1], s[2], s[3]
		for _, inverse := range []bool{false, true} {
			name := fmt.Sprintf("rotary of %d pairs of %d rows of %d heads of %d inverse=%v", pairs, T, heads, dim, inverse)
			n := T * heads * dim
			ops = append(ops,
				operation{name: name, floats: []int{n, pairs}, vectors: []int{1}, ints: [][]int32{spread(T, 23)}, outs: []int{n},
					launch: func(d device.Device, o, x, i bufs) {
						d.Rotary(o[0], x[0], i[0], x[1], T, heads, dim, pairs, 1.2, inverse)
					}},
				operation{name: name + " in place", floats: []int{pairs}, vectors: []int{0}, ints: [][]int32{spread(T, 23)}, outs: []int{n},
					launch: func(d device.Device, o, x, i bufs) {
						d.Rotary(o[0], o[0], i[0], x[0], T, heads, dim, pairs, 1, inverse)
					}})
		}
	}
	return ops
}

func optimizer() []operation {
	var ops []operation
	for _, n := range sizes {
		ops = append(ops, operation{name: fmt.Sprintf("adamw of %d", n), floats: []int{n}, outs: []int{n, n, n}, vectors: []int{0}, sums: []int{0, 1, 2}, positive: true,
			launch: func(d device.Device, o, x, i bufs) {
				for step := 1; step <= 3; step++ {
					d.AdamWStep(o[0], x[0], o[1], o[2], device.AdamW{LR: 0.01, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.1, Step: step})
				}
			}})
	}
	return ops
}
