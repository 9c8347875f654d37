package compliance

import (
	"fmt"

	"triality/runtime/device"
)

func hasProductSums(d device.Device) bool { _, ok := d.(device.ProductSum); return ok }

func hasNormGradSums(d device.Device) bool { _, ok := d.(device.NormGradSum); return ok }

// productSums are products with a scaling, and a sum with another matrix, with the destination or with none.
func productSums() []operation {
	var ops []operation
	for _, s := range [][3]int{{1, 1, 1}, {7, 5, 3}, {33, 17, 64}, {130, 96, 40}, {64, 257, 129}} {
		M, N, K := s[0], s[1], s[2]
		for bits := range 12 {
			transA, transB := bits&1 != 0, bits&2 != 0
			with := []string{"nothing", "itself", "another"}[bits/4]
			ops = append(ops, operation{
				name:   fmt.Sprintf("product plus %s %dx%dx%d transA=%v transB=%v", with, M, N, K, transA, transB),
				floats: []int{M * K, K * N, M * N}, outs: []int{M * N}, needs: hasProductSums,
				launch: func(d device.Device, o, x, i bufs) {
					c := map[string]device.Buffer{"itself": o[0], "another": x[2]}[with]
					d.(device.ProductSum).MatMulAdd(o[0], c, x[0], x[1], M, N, K, transA, transB, -0.75)
				}})
		}
	}
	return append(ops,
		operation{name: "a product over nothing plus another", floats: []int{0, 0, 12}, outs: []int{12}, needs: hasProductSums,
			launch: func(d device.Device, o, x, i bufs) {
				d.(device.ProductSum).MatMulAdd(o[0], x[2], x[0], x[1], 3, 4, 0, false, true, 2)
			}},
		operation{name: "a product of zero times plus another", floats: []int{12, 12, 9}, outs: []int{9}, needs: hasProductSums,
			launch: func(d device.Device, o, x, i bufs) {
				d.(device.ProductSum).MatMulAdd(o[0], x[2], x[0], x[1], 3, 3, 4, false, true, 0)
			}},
		operation{name: "slices of a product plus another", floats: []int{400, 400, 300}, outs: []int{300}, needs: hasProductSums,
			launch: func(d device.Device, o, x, i bufs) {
				d.(device.ProductSum).MatMulAdd(o[0].Slice(3, 3+15*17), x[2].Slice(7, 7+15*17), x[0].Slice(1, 1+15*19), x[1].Slice(5, 5+19*17), 15, 17, 19, false, false, 3)
			}})
}
