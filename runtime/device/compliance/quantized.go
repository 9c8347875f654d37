package compliance

import (
	"fmt"
	"math"
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/reference"
)

// Codes are the same on all devices, so that operations on codes can be compared closely.
func quantized() []operation {
	var ops []operation
	for _, s := range [][3]int{{1, 1, 1}, {3, 5, 7}, {1, 40, 64}, {33, 16, 32}, {70, 130, 129}, {150, 96, 257}, {20, 1030, 48}} {
		T, N, K := s[0], s[1], s[2]
		name := fmt.Sprintf(" of %d rows, %d by %d", T, N, K)
		ops = append(ops, operation{name: "quantize and dequantize" + name, floats: []int{N * K}, outs: []int{N * K, N}, sums: []int{1},
			launch: func(d device.Device, o, x, i bufs) {
				withCodes(d, o[1], x[0], N, K, func(codes device.Buffer) { d.DequantizeRows(o[0], codes, o[1], N, K) })
			}})
		for _, threshold := range []float64{0, 2.5, 0.01} {
			ops = append(ops, operation{name: fmt.Sprintf("int8 matmul with threshold %g%s", threshold, name),
				floats: []int{T * K, N * K, N}, vectors: []int{2}, outs: []int{T * N},
				launch: func(d device.Device, o, x, i bufs) {
					withCodes(d, x[2], x[1], N, K, func(codes device.Buffer) {
						d.MatMulInt8(o[0], x[0], codes, x[2], T, N, K, threshold)
					})
				}})
		}
		ops = append(ops, operation{name: "int8 matmul grad" + name, floats: []int{T * N, N * K, N}, vectors: []int{2}, outs: []int{T * K},
			launch: func(d device.Device, o, x, i bufs) {
				withCodes(d, x[2], x[1], N, K, func(codes device.Buffer) {
					d.MatMulInt8Grad(o[0], nil, x[0], codes, x[2], T, N, K)
				})
			}})
		ops = append(ops, operation{name: "int8 matmul grad plus another" + name, floats: []int{T * N, N * K, N, T * K}, vectors: []int{2}, outs: []int{T * K, T * K},
			launch: func(d device.Device, o, x, i bufs) {
				withCodes(d, x[2], x[1], N, K, func(codes device.Buffer) {
					d.MatMulInt8Grad(o[0], x[3], x[0], codes, x[2], T, N, K)
					d.MatMulInt8Grad(o[1], o[1], x[0], codes, x[2], T, N, K) // in place
				})
			}})
	}
	for name, plant := range planted() {
		const T, N, K = 40, 72, 1024
		ops = append(ops, operation{name: "int8 matmul with " + name, floats: []int{T * K, N * K, N}, vectors: []int{2}, outs: []int{T * N},
			launch: func(d device.Device, o, x, i bufs) {
				plant(d, x[0], T, K)
				withCodes(d, x[2], x[1], N, K, func(codes device.Buffer) { d.MatMulInt8(o[0], x[0], codes, x[2], T, N, K, 6) })
			}})
	}
	for name, plant := range planted() {
		for _, T := range []int{3, 40} { // few rows and many
			const N, K = 40, 1024
			ops = append(ops, operation{name: fmt.Sprintf("three int8 matmuls of the same %d rows with %s", T, name), needs: sharesInt8,
				floats: []int{T * K, N * K, N, (N + 3) * K, N + 3}, vectors: []int{2, 4}, outs: []int{T * N, T * (N + 3), T * N},
				launch: func(d device.Device, o, x, i bufs) {
					shared := d.(device.Int8Sharer)
					plant(d, x[0], T, K)
					withCodes(d, x[2], x[1], N, K, func(a device.Buffer) {
						withCodes(d, x[4], x[3], N+3, K, func(b device.Buffer) {
							shared.MatMulInt8Shared(o[0], x[0], a, x[2], T, N, K, 6, false, true)
							shared.MatMulInt8Shared(o[1], x[0], b, x[4], T, N+3, K, 6, true, true)
							shared.MatMulInt8Shared(o[2], x[0], a, x[2], T, N, K, 6, true, false)
						})
					})
				}})
		}
	}
	ops = append(ops, operation{name: "quantize rows of zeros", floats: []int{6}, outs: []int{6, 2}, sums: []int{1},
		launch: func(d device.Device, o, x, i bufs) {
			d.Fill(x[0].Slice(0, 3), 0)
			withCodes(d, o[1], x[0], 2, 3, func(codes device.Buffer) { d.DequantizeRows(o[0], codes, o[1], 2, 3) })
		}})
	return ops
}

func sharesInt8(d device.Device) bool { _, ok := d.(device.Int8Sharer); return ok }

// planted puts outliers past a threshold of 6 into T rows of K normal values.
func planted() map[string]func(d device.Device, x device.Buffer, T, K int) {
	columns := func(n int) func(device.Device, device.Buffer, int, int) {
		return func(d device.Device, x device.Buffer, T, K int) {
			for i := range n {
				at := (i%T)*K + i*K/n
				d.Fill(x.Slice(at, at+1), float64(7+i%20)*float64(1-2*(i%2)))
			}
		}
	}
	return map[string]func(device.Device, device.Buffer, int, int){
		"no outlier": columns(0), "one outlier column": columns(1), "100 outlier columns": columns(100), "300 outlier columns": columns(300),
		"nothing but outlier columns": func(d device.Device, x device.Buffer, _, _ int) { d.Scale(x, x, 100) },
	}
}

// withCodes quantizes w. A device without room would fail the launch with a nil buffer, which is
// what the suite then reports.
func withCodes(d device.Device, scale, w device.Buffer, N, K int, f func(codes device.Buffer)) {
	codes, err := d.Alloc(device.Int8, N*K)
	if err != nil {
		return
	}
	d.QuantizeRows(codes, scale, w, N, K)
	f(codes)
	d.Free(codes)
}

// eightBitAdamW takes steps on the device and on the reference. A moment half way between two values
// of the map may be stored as either, so that of ten thousand codes a few may be neighbours.
func eightBitAdamW(t *testing.T, dev device.Device, tol float64) {
	for _, n := range []int{1, 255, 256, 1000, 33_003} {
		t.Run(fmt.Sprintf("of %d", n), func(t *testing.T) {
			got, want := newStates(t, dev, n), newStates(t, reference.New(), n)
			for step := 1; step <= 3; step++ {
				g, w := got.step(t, step), want.step(t, step)
				off := 0
				for _, kind := range []string{"m", "v"} {
					for i, c := range w.codes[kind] {
						d := int(uint8(c)) - int(uint8(g.codes[kind][i]))
						if d*d > 1 {
							t.Fatalf("step %d: %s[%d] has code %d, reference %d", step, kind, i, uint8(g.codes[kind][i]), uint8(c))
						}
						off += d * d
					}
				}
				if off > n/1000+step {
					t.Errorf("step %d: %d codes of %d differ from the reference's", step, off, 2*n)
				}
				// A neighbouring code is at most a tenth of the moment away, and a step at most about the rate.
				loose := tol
				if off > 0 || step > 1 {
					loose = 0.1 * stepRate
				}
				for i, v := range w.p {
					if math.Abs(v-g.p[i]) > loose*max(1, math.Abs(v)) {
						t.Fatalf("step %d: p[%d] is %g, reference %g", step, i, g.p[i], v)
					}
				}
			}
		})
	}
}

const stepRate = 0.01

// states are the buffers of one optimizer on one device.
type states struct {
	dev                device.Device
	p, g, m, v, mm, vm device.Buffer
}

// snapshot is what states hold, on the host.
type snapshot struct {
	p     []float64
	codes map[string][]int8
}

func newStates(t *testing.T, dev device.Device, n int) *states {
	t.Helper()
	blocks := (n + device.StateBlock - 1) / device.StateBlock
	s := &states{dev: dev,
		p: upload(t, dev, device.Float, n, normals()[:n]), g: upload(t, dev, device.Float, n, normals()[n:2*n]),
		m: upload(t, dev, device.Int8, n, make([]int8, n)), v: upload(t, dev, device.Int8, n, make([]int8, n)),
		mm: upload(t, dev, device.Float, blocks, make([]float32, blocks)), vm: upload(t, dev, device.Float, blocks, make([]float32, blocks))}
	t.Cleanup(func() {
		for _, b := range []device.Buffer{s.p, s.g, s.m, s.v, s.mm, s.vm} {
			dev.Free(b)
		}
	})
	return s
}

func (s *states) step(t *testing.T, step int) snapshot {
	t.Helper()
	s.dev.AdamW8Step(s.p, s.g, s.m, s.v, s.mm, s.vm,
		device.AdamW{LR: stepRate, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.1, Step: step})
	n := s.p.Len()
	out := snapshot{p: make([]float64, n), codes: map[string][]int8{"m": make([]int8, n), "v": make([]int8, n)}}
	if err := s.dev.Download(out.p, s.p); err != nil {
		t.Fatal(err)
	}
	for kind, b := range map[string]device.Buffer{"m": s.m, "v": s.v} {
		if err := s.dev.Download(out.codes[kind], b); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.dev.Sync(); err != nil {
		t.Fatal(err)
	}
	return out
}
