package compliance

import (
	"fmt"

	"triality/runtime/device"
)

func dora() []operation {
	var ops []operation
	for _, s := range [][2]int{{1, 1}, {3, 7}, {33, 16}, {5, 1000}, {300, 129}} {
		N, K := s[0], s[1]
		name := fmt.Sprintf(" of %d rows of %d", N, K)
		ops = append(ops,
			operation{name: "divide by row norms" + name, floats: []int{N, N * K}, outs: []int{N}, vectors: []int{0}, sums: []int{0},
				launch: func(d device.Device, o, x, i bufs) { d.DivideByRowNorms(o[0], x[0], x[1], N, K) }},
			operation{name: "scale columns" + name, floats: []int{N * K, K}, vectors: []int{1}, outs: []int{N * K},
				launch: func(d device.Device, o, x, i bufs) { d.ScaleColumns(o[0], x[0], x[1], N, K) }},
			operation{name: "scale columns in place" + name, floats: []int{K}, vectors: []int{0}, outs: []int{N * K},
				launch: func(d device.Device, o, x, i bufs) { d.ScaleColumns(o[0], o[0], x[0], N, K) }})
	}
	return ops
}
