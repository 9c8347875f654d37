package cuda

import (
	"fmt"
	"slices"

	"triality/runtime/device"
)

// adaptedRanks are those that kernels/adapted_swiglu.cu has kernels for.
var adaptedRanks = []int{8, 16, 32, 64}

// A block takes so many columns, which come by 32, and rows, by tiles of 16.
const (
	adaptedColumns = 256
	adaptedRows    = 256
	adaptedTile    = 16
	adaptedThreads = 256
)

// adaptedShared is the shared memory of a block: of each term the rows of b and two tiles of those of a.
func adaptedShared(terms, rank int) int { return terms * 2 * rank * (adaptedColumns + 2*adaptedTile) }

// TakesLowRank tells whether there are kernels, and this card has the shared memory that they take.
func (d *Device) TakesLowRank(N, R int, t device.DType) bool {
	return size(t) == 2 && N%32 == 0 && slices.Contains(adaptedRanks, R) && adaptedShared(3, R) <= d.shared
}

// adaptedKernels gives the names of the kernels and the bytes of shared memory that a block takes.
func adaptedKernels() map[string]int {
	bytes := map[string]int{}
	for _, rank := range adaptedRanks {
		for _, t := range []device.DType{device.BFloat16, device.Float16} {
			bytes[adaptedKernel("adapted_swiglu", rank, t)] = adaptedShared(2, rank)
			bytes[adaptedKernel("adapted_swiglu_grad", rank, t)] = adaptedShared(3, rank)
		}
	}
	return bytes
}

// adaptedKernel is a kernel's name.
func adaptedKernel(name string, rank int, t device.DType) string {
	return fmt.Sprintf("%s_%d%s", name, rank, suffix(t))
}

// lowRank is a device.LowRank by addresses, with b not turned; 0 where there is none.
type lowRank struct {
	a, b uint64
	s    float64
}

// adapted is one call over sums of matrices [t,n] with terms of rank r.
type adapted struct {
	*call
	t, n, r int
}

// term checks a term.
func (p adapted) term(name string, l device.LowRank) lowRank {
	if l.A == nil {
		return lowRank{}
	}
	return lowRank{p.operand(name+"'s a", l.A, p.t*p.r), p.operand(name+"'s b", l.B, p.n*p.r), l.S}
}

// byKernels tells whether the kernels take the call: they read and write 16 bytes at once.
func (p adapted) byKernels(addresses ...uint64) bool {
	if p.failed || !p.d.TakesLowRank(p.n, p.r, p.stored) {
		return false
	}
	for _, at := range addresses {
		if at%16 != 0 {
			return false
		}
	}
	return true
}

// run launches a kernel over the terms, of which there is one at least: another stands for one that is not there,
// times zero. b is [n,r] in kernels.
func (p adapted) run(kernel string, matrices []uint64, terms []device.LowRank, at []lowRank) {
	var there lowRank
	for i, l := range terms {
		if l.A == nil {
			continue
		}
		if l.Turned {
			to := p.temporary(p.width() * p.n * p.r)
			p.launch("turn_narrow", (p.n+255)/256, p.r/8, 256, 0, to, at[i].b, i32(p.n), i32(p.r))
			at[i].b = to
		}
		there = lowRank{a: at[i].a, b: at[i].b}
	}
	args := matrices
	for i, f := range at {
		if terms[i].A == nil {
			f = there
		}
		args = append(args, f.a, f.b, f32(f.s))
	}
	p.launch(adaptedKernel(kernel, p.r, p.stored), (p.n+adaptedColumns-1)/adaptedColumns, (p.t+adaptedRows-1)/adaptedRows, adaptedThreads,
		adaptedShared(len(terms), p.r), append(args, i32(p.t), i32(p.n), i32(adaptedRows))...)
}

// sum is x plus a term, as a product of its own.
func (p adapted) sum(x uint64, l device.LowRank, f lowRank) uint64 {
	if l.A == nil || f.s == 0 {
		return x
	}
	to := p.temporary(p.width() * p.t * p.n)
	p.product(to, f.a, f.b, gemm{m: p.t, n: p.n, k: p.r, transB: !l.Turned, accumulate: true, operands: p.stored, result: p.stored,
		factor: float32(f.s), addend: x})
	return to
}

// SwiGLUAdapted: dst = silu(gate + g)·(up + u).
func (d *Device) SwiGLUAdapted(dst, gate, up device.Buffer, g, u device.LowRank, T, N, R int) {
	c := d.begin("adapted swiglu")
	defer c.end()
	p := adapted{&c, T, N, R}
	o, x, y := c.operand("dst", dst, T*N), c.operand("gate", gate, T*N), c.operand("up", up, T*N)
	a, b := p.term("gate", g), p.term("up", u)
	if c.failed || T*N == 0 {
		return
	}
	if a.a|b.a == 0 || !p.byKernels(o, x, y, a.a, a.b, b.a, b.b) {
		x, y = p.sum(x, g, a), p.sum(y, u, b)
		c.each(c.kernel("swiglu"), c.spans(T*N), o, x, y, i64(T*N))
		return
	}
	p.run("adapted_swiglu", []uint64{o, x, y}, []device.LowRank{g, u}, []lowRank{a, b})
}

// SwiGLUGradAdapted is SwiGLUGrad of the sums.
func (d *Device) SwiGLUGradAdapted(dgate, dup, gate, up, dy device.Buffer, g, u, y device.LowRank, T, N, R int) {
	c := d.begin("adapted swiglu grad")
	defer c.end()
	p := adapted{&c, T, N, R}
	dg, du := c.operand("dgate", dgate, T*N), c.operand("dup", dup, T*N)
	x, v, w := c.operand("gate", gate, T*N), c.operand("up", up, T*N), c.operand("dy", dy, T*N)
	a, b, e := p.term("gate", g), p.term("up", u), p.term("dy", y)
	if c.failed || T*N == 0 {
		return
	}
	if a.a|b.a|e.a == 0 || !p.byKernels(dg, du, x, v, w, a.a, a.b, b.a, b.b, e.a, e.b) {
		x, v, w = p.sum(x, g, a), p.sum(v, u, b), p.sum(w, y, e)
		c.each(c.kernel("swiglu_grad"), c.spans(T*N), dg, du, x, v, w, i64(T*N))
		return
	}
	p.run("adapted_swiglu_grad", []uint64{dg, du, x, v, w}, []device.LowRank{g, u, y}, []lowRank{a, b, e})
}
