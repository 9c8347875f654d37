package compliance

import (
	"fmt"

	"triality/runtime/device"
)

func hasAdaptedSwiGLU(d device.Device) bool { _, ok := d.(device.AdaptedSwiGLU); return ok }

// adaptedSwiGLU is SwiGLU and its gradient over sums with every set of low-rank terms, at sizes that kernels take and
// others that they do not.
func adaptedSwiGLU() []operation {
	var ops []operation
	for _, s := range [][3]int{{1, 32, 8}, {19, 96, 16}, {70, 544, 64}, {130, 64, 32}, {7, 33, 5}, {16, 32, 128}} {
		T, N, R := s[0], s[1], s[2]
		for there := range 8 {
			term := func(k int, x bufs) device.LowRank {
				if there&(1<<k) == 0 {
					return device.LowRank{}
				}
				return device.LowRank{A: x[3+2*k], B: x[4+2*k], S: []float64{0.25, -0.125, 0.5}[k], Turned: (k == 2) != (T == 7)}
			}
			floats := []int{T * N, T * N, T * N, T * R, N * R, T * R, N * R, T * R, N * R}
			name := fmt.Sprintf("%dx%d of rank %d, terms %03b", T, N, R, there)
			if there < 4 {
				ops = append(ops, operation{name: "adapted swiglu " + name, floats: floats, outs: []int{T * N}, needs: hasAdaptedSwiGLU,
					launch: func(d device.Device, o, x, i bufs) {
						d.(device.AdaptedSwiGLU).SwiGLUAdapted(o[0], x[0], x[1], term(0, x), term(1, x), T, N, R)
					}})
			}
			ops = append(ops, operation{name: "adapted swiglu grad " + name, floats: floats, outs: []int{T * N, T * N}, needs: hasAdaptedSwiGLU,
				launch: func(d device.Device, o, x, i bufs) {
					d.(device.AdaptedSwiGLU).SwiGLUGradAdapted(o[0], o[1], x[0], x[1], x[2], term(0, x), term(1, x), term(2, x), T, N, R)
				}})
		}
	}
	const T, N, R = 40, 64, 16
	return append(ops,
		operation{name: "adapted swiglu in place", floats: []int{T * N, T * R, N * R, T * R, N * R}, outs: []int{T * N}, needs: hasAdaptedSwiGLU,
			launch: func(d device.Device, o, x, i bufs) {
				d.(device.AdaptedSwiGLU).SwiGLUAdapted(o[0], x[0], o[0], device.LowRank{A: x[1], B: x[2], S: 1}, device.LowRank{A: x[3], B: x[4], S: -1}, T, N, R)
			}},
		operation{name: "adapted swiglu grad in place", floats: []int{T * N, T * R, N * R}, outs: []int{T * N, T * N}, needs: hasAdaptedSwiGLU,
			launch: func(d device.Device, o, x, i bufs) {
				y := device.LowRank{A: x[1], B: x[2], S: 0.5, Turned: true}
				d.(device.AdaptedSwiGLU).SwiGLUGradAdapted(o[0], o[1], o[1], x[0], o[0], device.LowRank{A: x[1], B: x[2], S: 1}, device.LowRank{}, y, T, N, R)
			}},
		operation{name: "adapted swiglu of slices", floats: []int{1 + T*N, 3 + T*N, 5 + T*R, 7 + N*R}, outs: []int{1 + T*N}, needs: hasAdaptedSwiGLU,
			launch: func(d device.Device, o, x, i bufs) {
				l := device.LowRank{A: x[2].Slice(5, 5+T*R), B: x[3].Slice(7, 7+N*R), S: 1}
				d.(device.AdaptedSwiGLU).SwiGLUAdapted(o[0].Slice(1, 1+T*N), x[0].Slice(1, 1+T*N), x[1].Slice(3, 3+T*N), l, l, T, N, R)
			}})
}
