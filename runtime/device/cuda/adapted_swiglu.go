package cuda

import (
	"cmp"
	"fmt"
	"slices"

	"triality/runtime/device"
)

// adaptedRanks are those that kernels/adapted_swiglu.cu has kernels for.
var adaptedRanks = []int{8, 16, 32, 64}

// adaptedWidth is the number of columns that a block takes; they come by 32.
const adaptedWidth = 512

// Threads of a block: a warp to 16 rows.
const (
	adaptedThreads     = 256
	adaptedGradThreads = 128
)

// TakesLowRank tells whether there are kernels.
func (d *Device) TakesLowRank(N, R int, t device.DType) bool {
	return size(t) == 2 && N%32 == 0 && slices.Contains(adaptedRanks, R)
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

// arguments are those of the terms, with b as [n,r]: of one that is not there another's, since kernels read it.
func (p adapted) arguments(terms []device.LowRank, at []lowRank) []uint64 {
	var any uint64
	for i, l := range terms {
		if l.A != nil && l.Turned {
			to := p.temporary(p.width() * p.n * p.r)
			p.launch("turn_narrow", (p.n+255)/256, p.r/8, 256, 0, to, at[i].b, i32(p.n), i32(p.r))
			at[i].b = to
		}
		any = cmp.Or(any, at[i].b)
	}
	var out []uint64
	for _, f := range at {
		out = append(out, f.a, cmp.Or(f.b, any), f32(f.s))
	}
	return out
}

// run launches a kernel over the terms, of which there is one at least.
func (p adapted) run(kernel string, threads int, matrices []uint64, terms []device.LowRank, at []lowRank) {
	args := append(matrices, p.arguments(terms, at)...)
	rows := threads / 2
	p.launch(adaptedKernel(kernel, p.r, p.stored), (p.t+rows-1)/rows, (p.n+adaptedWidth-1)/adaptedWidth, threads, 0,
		append(args, i32(p.t), i32(p.n), i32(adaptedWidth))...)
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
	p.run("adapted_swiglu", adaptedThreads, []uint64{o, x, y}, []device.LowRank{g, u}, []lowRank{a, b})
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
	p.run("adapted_swiglu_grad", adaptedGradThreads, []uint64{dg, du, x, v, w}, []device.LowRank{g, u, y}, []lowRank{a, b, e})
}
