package cpu

import (
	"encoding/binary"
	"strings"
	"unsafe"

	x86 "golang.org/x/sys/cpu"
)

// supported gives the kernel sets this machine can run, best first. x/sys/cpu asks both the
// processor and the system, which must save the wide registers.
func supported() []*kernels {
	sets := []*kernels{&portable}
	if x86.X86.HasAVX2 && x86.X86.HasFMA {
		sets = append([]*kernels{&avx2}, sets...)
		if x86.X86.HasAVX512F && x86.X86.HasAVX512BW && x86.X86.HasAVX512DQ && x86.X86.HasAVX512VL {
			sets = append([]*kernels{&avx512}, sets...)
		}
	}
	return sets
}

var avx2 = kernels{
	name: "avx2", level: AVX2, mr: 6, nr: 16,
	tile: tile256, transpose: transposeAVX2, copyRows: copyAVX2,
	dot: dot256, dot64: dot64AVX2, dot4: dot4AVX2,
	add: add256, mul: mul256, scale: scale256, axpy: axpy256, axpby: axpby256, axxpy: axxpy256,
	largest: largestAVX2, expSum: expSum256, softmaxGrad: softmaxGrad256,
	swiglu: swiglu256, swigluGrad: swigluGrad256,
	blockMul: blockMul256, outer8: outer8x256, adamw: adamw256, dropout: dropoutAVX2,
}

// avx512 takes wider kernels where the arithmetic is dense; the rest waits for memory either way.
var avx512 = kernels{
	name: "avx512", level: AVX512, mr: 14, nr: 32,
	tile: tile512, half: half512, transpose: transposeAVX512, copyRows: copy512,
	dot: dot512, dot64: dot64AVX2, dot4: dot4AVX512,
	add: add256, mul: mul256, scale: scale256, axpy: axpy512, axpby: axpby256, axxpy: axxpy256,
	largest: largestAVX2, expSum: expSum512, softmaxGrad: softmaxGrad256,
	swiglu: swiglu512, swigluGrad: swigluGrad512,
	blockMul: blockMul256, outer8: outer8x256, adamw: adamw256, dropout: dropoutAVX2,
}

// The assembly trusts its callers' lengths; see kernels for what each computes.

//go:noescape
func tile256(k int, a, b, c *float32, ldc int, add bool)

//go:noescape
func tile512(k int, a, b, c *float32, ldc int, add bool)

//go:noescape
func half512(k int, a, b, c *float32, ldc int, add bool)

//go:noescape
func copy512(dst *float32, step int, src *float32, ld, lanes, k int)

//go:noescape
func copy16x256(dst, src *float32, ld, k int)

// transpose8 moves blocks of 8 columns of at most 8 rows; transpose16 of 16.
//
//go:noescape
func transpose8(dst *float32, step int, src *float32, ld, lanes, rows, blocks int)

//go:noescape
func transpose16(dst *float32, step int, src *float32, ld, lanes, rows, blocks int)

//go:noescape
func dot256(x, y []float32) float32

//go:noescape
func dot512(x, y []float32) float32

// dot4x256 and dot4x512 take the length n of x.
//
//go:noescape
func dot4x256(out *[4]float32, x, w *float32, ld, n int)

//go:noescape
func dot4x512(out *[4]float32, x, w *float32, ld, n int)

// dot64x256 sums whole groups of 8.
//
//go:noescape
func dot64x256(x, y *float32, groups int) float64

//go:noescape
func add256(dst, x, y []float32)

//go:noescape
func mul256(dst, x, y []float32)

//go:noescape
func scale256(dst, x []float32, a float32)

//go:noescape
func axpy256(y, x []float32, a float32)

//go:noescape
func axpy512(y, x []float32, a float32)

//go:noescape
func axpby256(dst, x, y []float32, a, b float32)

//go:noescape
func axxpy256(z, x, y []float32, a float32)

// largest256 is the largest of whole groups of 8, at least one.
//
//go:noescape
func largest256(x *float32, groups int) float32

//go:noescape
func expSum256(dst, x []float32, shift float32) float32

//go:noescape
func expSum512(dst, x []float32, shift float32) float32

//go:noescape
func softmaxGrad256(ds, p, dp []float32, mean, scale float32)

//go:noescape
func swiglu256(dst, gate, up []float32)

//go:noescape
func swiglu512(dst, gate, up []float32)

//go:noescape
func swigluGrad256(dgate, dup, gate, up, dy []float32)

//go:noescape
func swigluGrad512(dgate, dup, gate, up, dy []float32)

//go:noescape
func blockMul256(dst, x []float32, m *[64]float32)

//go:noescape
func outer8x256(m *[64]float32, x, y []float32)

//go:noescape
func adamw256(p, g, m, v []float32, c *adamConstants)

//go:noescape
func dropout256(dst, x *float32, groups int, counter, stream, key0, key1, least uint32, inverse float32)

func cpuid(leaf uint32) (a, b, c, d uint32)

func transposeAVX2(dst *float32, step int, src *float32, ld, lanes, rows, cols int) {
	whole := cols / 8
	for i := 0; i < lanes; i += 8 {
		d, s := offset(dst, i), offset(src, min(i, rows-1)*ld)
		l, r := min(8, lanes-i), max(1, min(8, rows-i))
		if whole > 0 {
			transpose8(d, step, s, ld, l, r, whole)
		}
		if done := whole * 8; done < cols {
			transposeGo(offset(d, done*step), step, offset(s, done), ld, l, r, cols-done)
		}
	}
}

func transposeAVX512(dst *float32, step int, src *float32, ld, lanes, rows, cols int) {
	whole := cols / 16
	if whole > 0 {
		transpose16(dst, step, src, ld, lanes, rows, whole)
	}
	if done := whole * 16; done < cols {
		transposeGo(offset(dst, done*step), step, offset(src, done), ld, lanes, rows, cols-done)
	}
}

func copyAVX2(dst *float32, step int, src *float32, ld, lanes, k int) {
	if lanes == 16 && step == 16 {
		copy16x256(dst, src, ld, k)
		return
	}
	copyRowsGo(dst, step, src, ld, lanes, k)
}

func offset(p *float32, n int) *float32 { return (*float32)(unsafe.Add(unsafe.Pointer(p), 4*n)) }

func dot64AVX2(x, y []float32) float64 {
	whole := len(x) / 8
	var s float64
	if whole > 0 {
		s = dot64x256(&x[0], &y[0], whole)
	}
	for i := whole * 8; i < len(x); i++ {
		s += float64(x[i]) * float64(y[i])
	}
	return s
}

func dropoutAVX2(dst, x []float32, counter uint32, m *mask) {
	whole := len(dst) / 32
	if whole > 0 {
		dropout256(&dst[0], &x[0], whole, counter, m.stream, m.key[0], m.key[1], m.least, m.inverse)
	}
	dropoutGo(dst[whole*32:], x[whole*32:], counter+uint32(whole*8), m)
}

func dot4AVX2(out *[4]float32, x []float32, w *float32, ld int) { dot4x256(out, &x[0], w, ld, len(x)) }

func dot4AVX512(out *[4]float32, x []float32, w *float32, ld int) {
	dot4x512(out, &x[0], w, ld, len(x))
}

func largestAVX2(x []float32) float32 {
	whole := len(x) / 8
	m := x[0]
	if whole > 0 {
		m = largest256(&x[0], whole)
	}
	for _, v := range x[whole*8:] {
		m = max(m, v)
	}
	return m
}

// processor is the brand string of the processor.
func processor() string {
	const first, last = 0x80000002, 0x80000004
	if top, _, _, _ := cpuid(0x80000000); top < last {
		return "amd64"
	}
	var name []byte
	for leaf := uint32(first); leaf <= last; leaf++ {
		a, b, c, d := cpuid(leaf)
		for _, v := range []uint32{a, b, c, d} {
			name = binary.LittleEndian.AppendUint32(name, v)
		}
	}
	return strings.Join(strings.Fields(strings.TrimRight(string(name), "\x00")), " ")
}
