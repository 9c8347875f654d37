package compliance

import (
	"fmt"

	"triality/runtime/device"
)

// loosely is how much more than its rounding the error of a narrow product of e4m3 codes may be: tensor cores add
// such products with about 14 bits.
const loosely = 3

// fp8 is products of e4m3 codes, which are the same on all devices.
func fp8() []operation {
	var ops []operation
	for _, s := range [][3]int{{1, 1, 1}, {3, 5, 7}, {1, 48, 64}, {33, 16, 32}, {70, 130, 129}, {150, 96, 272}, {20, 1040, 48}, {40, 144, 1024}} {
		T, N, K := s[0], s[1], s[2]
		name := fmt.Sprintf(" of %d rows, %d by %d", T, N, K)
		ops = append(ops, operation{name: "quantize to fp8 and dequantize" + name, floats: []int{N * K}, outs: []int{N * K, N}, sums: []int{1},
			launch: func(d device.Device, o, x, i bufs) {
				withFP8(d, o[1], x[0], N, K, func(codes device.Buffer) { d.DequantizeRowsFP8(o[0], codes, o[1], N, K) })
			}})
		for kind, prepare := range fp8Inputs() {
			name := name + kind
			ops = append(ops,
				operation{name: "fp8 matmul" + name, floats: []int{T * K, N * K, N}, vectors: []int{2}, outs: []int{T * N}, loose: loosely,
					launch: func(d device.Device, o, x, i bufs) {
						prepare(d, x[0], T, K)
						withFP8(d, x[2], x[1], N, K, func(codes device.Buffer) { d.MatMulFP8(o[0], x[0], codes, x[2], T, N, K) })
					}},
				operation{name: "fp8 matmul grad" + name, floats: []int{T * N, N * K, N}, vectors: []int{2}, outs: []int{T * K}, loose: loosely,
					launch: func(d device.Device, o, x, i bufs) {
						prepare(d, x[0], T, N)
						withFP8(d, x[2], x[1], N, K, func(codes device.Buffer) { d.MatMulFP8Grad(o[0], nil, x[0], codes, x[2], T, N, K) })
					}})
		}
		ops = append(ops,
			operation{name: "fp8 matmul grad and a sum" + name, floats: []int{T * N, N * K, N, T * K}, vectors: []int{2}, outs: []int{T * K, T * K}, loose: loosely,
				launch: func(d device.Device, o, x, i bufs) {
					withFP8(d, x[2], x[1], N, K, func(codes device.Buffer) {
						d.MatMulFP8Grad(o[0], x[3], x[0], codes, x[2], T, N, K)
						d.MatMulFP8Grad(o[1], o[1], x[0], codes, x[2], T, N, K) // in place
					})
				}},
			operation{name: "two fp8 matmuls of the same activations" + name, needs: sharesFP8, loose: loosely,
				floats: []int{T * K, N * K, N, (N + 16) * K, N + 16, T * K}, vectors: []int{2, 4}, outs: []int{T * N, T * (N + 16), T * N},
				launch: func(d device.Device, o, x, i bufs) {
					shared := d.(device.FP8Sharer)
					withFP8(d, x[2], x[1], N, K, func(a device.Buffer) {
						withFP8(d, x[4], x[3], N+16, K, func(b device.Buffer) {
							shared.MatMulFP8Shared(o[0], x[0], a, x[2], T, N, K, false, true)
							shared.MatMulFP8Shared(o[1], x[0], b, x[4], T, N+16, K, true, false)
							shared.MatMulFP8Shared(o[2], x[5], a, x[2], T, N, K, false, false)
						})
					})
				}})
	}
	return append(ops, operation{name: "rows of zeros in fp8", floats: []int{4 * 16, 16 * 16, 16}, vectors: []int{2}, outs: []int{4 * 16, 4 * 16},
		launch: func(d device.Device, o, x, i bufs) {
			d.Fill(x[0].Slice(16, 32), 0)
			d.Scale(x[0].Slice(32, 48), x[0].Slice(32, 48), 1e-37) // as good as zeros
			d.Fill(x[1].Slice(0, 16), 0)
			withFP8(d, x[2], x[1], 16, 16, func(codes device.Buffer) {
				d.MatMulFP8(o[0], x[0], codes, x[2], 4, 16, 16)
				d.MatMulFP8Grad(o[1], nil, x[0], codes, x[2], 4, 16, 16)
			})
		}})
}

func sharesFP8(d device.Device) bool { _, ok := d.(device.FP8Sharer); return ok }

// fp8Inputs are activations as they are, and with what fp8 has to bear.
func fp8Inputs() map[string]func(d device.Device, x device.Buffer, T, K int) {
	return map[string]func(device.Device, device.Buffer, int, int){
		"": func(device.Device, device.Buffer, int, int) {},
		", with a large element in each row": func(d device.Device, x device.Buffer, T, K int) {
			for t := range T {
				d.Fill(x.Slice(t*K+t%K, t*K+t%K+1), 300)
			}
		},
		", with a small row": func(d device.Device, x device.Buffer, T, K int) { d.Scale(x.Slice(0, K), x.Slice(0, K), 1e-3) },
	}
}

// withFP8 quantizes w. A device without room would fail the launch with a nil buffer, which is what the suite
// then reports.
func withFP8(d device.Device, scale, w device.Buffer, N, K int, f func(codes device.Buffer)) {
	codes, err := d.Alloc(device.Int8, N*K)
	if err != nil {
		return
	}
	d.QuantizeRowsFP8(codes, scale, w, N, K)
	f(codes)
	d.Free(codes)
}
