package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// floats gives n random values and canaries behind them, which a kernel must not touch.
func floats(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n+20)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

func TestKernelsEqualTheirPortableTwins(t *testing.T) {
	sizes := []int{1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 63, 100}
	type list = [][]float32
	// Each case runs one kernel over spans of n elements that start at x[i][0]; scalars come back.
	cases := map[string]func(k *kernels, n int, x list) float64{
		"add":   func(k *kernels, n int, x list) float64 { k.add(x[0][:n], x[1][:n], x[2][:n]); return 0 },
		"mul":   func(k *kernels, n int, x list) float64 { k.mul(x[0][:n], x[1][:n], x[2][:n]); return 0 },
		"scale": func(k *kernels, n int, x list) float64 { k.scale(x[0][:n], x[1][:n], 0.3); return 0 },
		"axpy":  func(k *kernels, n int, x list) float64 { k.axpy(x[0][:n], x[1][:n], 0.3); return 0 },
		"axpby": func(k *kernels, n int, x list) float64 { k.axpby(x[0][:n], x[1][:n], x[2][:n], 0.3, -2); return 0 },
		"axxpy": func(k *kernels, n int, x list) float64 { k.axxpy(x[0][:n], x[1][:n], x[2][:n], 0.3); return 0 },
		"softmaxGrad": func(k *kernels, n int, x list) float64 {
			k.softmaxGrad(x[0][:n], x[1][:n], x[2][:n], 0.3, 2)
			return 0
		},
		"swiglu": func(k *kernels, n int, x list) float64 { k.swiglu(x[0][:n], x[1][:n], x[2][:n]); return 0 },
		"swigluGrad": func(k *kernels, n int, x list) float64 {
			k.swigluGrad(x[0][:n], x[1][:n], x[2][:n], x[3][:n], x[4][:n])
			return 0
		},
		"expSum":  func(k *kernels, n int, x list) float64 { return float64(k.expSum(x[0][:n], x[1][:n], 0.5)) },
		"dot":     func(k *kernels, n int, x list) float64 { return float64(k.dot(x[0][:n], x[1][:n])) },
		"dot64":   func(k *kernels, n int, x list) float64 { return k.dot64(x[0][:n], x[1][:n]) },
		"largest": func(k *kernels, n int, x list) float64 { return float64(k.largest(x[0][:n])) },
		"blockMul": func(k *kernels, n int, x list) float64 {
			k.blockMul(x[0][:n/8*8], x[1][:n/8*8], (*[64]float32)(x[5]))
			return 0
		},
		"outer8": func(k *kernels, n int, x list) float64 {
			k.outer8((*[64]float32)(x[5]), x[0][:n/8*8], x[1][:n/8*8])
			return 0
		},
		"dropout": func(k *kernels, n int, x list) float64 {
			k.dropout(x[0][:n], x[1][:n], 1<<32-9, &mask{stream: 5, least: 1 << 31, key: [2]uint32{1 << 31, 7}, inverse: 2})
			return 0
		},
		"dot4": func(k *kernels, n int, x list) float64 {
			k.dot4((*[4]float32)(x[5]), x[0][:n], &x[6][0], 110)
			return 0
		},
		"adamw": func(k *kernels, n int, x list) float64 {
			for i := range n {
				x[3][i] = float32(math.Abs(float64(x[3][i])))
			}
			k.adamw(x[0][:n], x[1][:n], x[2][:n], x[3][:n], &adamConstants{0.9, 0.8, 0.2, 0.7, 0.3, 0.1, 1.1, 1e-3})
			return 0
		},
	}
	for _, set := range supported() {
		for name, f := range cases {
			t.Run(set.name+" "+name, func(t *testing.T) {
				for _, n := range sizes {
					var got, want list
					for _, dst := range []*list{&got, &want} {
						rng := rand.New(rand.NewPCG(3, uint64(n)))
						for _, size := range []int{n, n, n, n, n, 64, 4 * 110} {
							*dst = append(*dst, floats(rng, size))
						}
					}
					a, b := f(set, n, got), f(&portable, n, want)
					if !near(a, b) {
						t.Errorf("length %d: returned %g, want %g", n, a, b)
					}
					for i := range want {
						for j := range want[i] {
							if !near(float64(got[i][j]), float64(want[i][j])) {
								t.Errorf("length %d: span %d element %d is %g, want %g", n, i, j, got[i][j], want[i][j])
							}
						}
					}
				}
			})
		}
	}
}

func near(a, b float64) bool { return math.Abs(a-b) <= 2e-6*(1+math.Abs(b)) }

func TestExpIsAccurateToTheLastBits(t *testing.T) {
	for _, set := range supported() {
		t.Run(set.name, func(t *testing.T) {
			var x []float32
			for v := float32(-69); v < 88.7; v += 0.0137 {
				x = append(x, v)
			}
			y := make([]float32, len(x))
			set.expSum(y, x, 0)
			worst := 0.0
			for i := range x {
				want := math.Exp(float64(x[i]))
				worst = max(worst, math.Abs(float64(y[i])-want)/want)
			}
			t.Logf("largest relative error %.3g", worst)
			if worst > 1.2e-7 {
				t.Errorf("largest relative error %.3g", worst)
			}
		})
	}
}

func TestExpOfTheExtremes(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	x := []float32{-inf, -1000, -69.1, 0, 89, 1000, inf, nan, 1, 1, 1, 1, 1, 1, 1, 1, nan}
	for _, set := range supported() {
		y := make([]float32, len(x))
		set.expSum(y, x, 0)
		for i, v := range x {
			want := float32(math.Exp(float64(v)))
			if math.IsNaN(float64(want)) != math.IsNaN(float64(y[i])) || (want == want && !near(float64(y[i]), float64(want)) && y[i] != want) {
				t.Errorf("%s: exp(%g) = %g, want %g", set.name, v, y[i], want)
			}
		}
	}
}

func TestTilesAndPanelsAreExactOnIntegers(t *testing.T) {
	for _, set := range supported() {
		for _, k := range []int{1, 5, 16, 33} {
			for _, trans := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s depth %d trans=%v", set.name, k, trans), func(t *testing.T) {
					rows := set.mr + 3
					m := matrix{make([]float32, rows*k), k, false}
					if trans {
						m = matrix{m.data, rows, true}
					}
					for i := range m.data {
						m.data[i] = float32(i%17 - 8)
					}
					at := func(i, j int) float32 {
						if trans {
							return m.data[j*m.ld+i]
						}
						return m.data[i*m.ld+j]
					}
					packed := make([]float32, panels(rows, set.mr)*k+1)
					packed[len(packed)-1] = 77
					set.pack(packed, m, rows, k, set.mr)
					if packed[len(packed)-1] != 77 {
						t.Error("pack wrote past its panels")
					}
					for i := range rows {
						for j := range k {
							if got := packed[i/set.mr*set.mr*k+j*set.mr+i%set.mr]; got != at(i, j) {
								t.Fatalf("packed element %d,%d is %g, want %g", i, j, got, at(i, j))
							}
						}
					}
					b := make([]float32, set.nr*k)
					for i := range b {
						b[i] = float32(i%13 - 6)
					}
					ldc := set.nr + 5
					c := make([]float32, set.mr*ldc)
					set.tile(k, &packed[0], &b[0], &c[0], ldc, false)
					set.tile(k, &packed[0], &b[0], &c[0], ldc, true)
					const times = 2
					for i := range set.mr {
						for j := range ldc {
							var want float32
							for l := range k {
								if j < set.nr {
									want += times * packed[l*set.mr+i] * b[l*set.nr+j]
								}
							}
							if c[i*ldc+j] != want {
								t.Fatalf("tile element %d,%d is %g, want %g", i, j, c[i*ldc+j], want)
							}
						}
					}
				})
			}
		}
	}
}
