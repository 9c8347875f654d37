package cuda

import (
	"errors"
	"fmt"
	"math/bits"
	"unsafe"

	"triality/runtime/device"
)

// blas is cuBLASLt with the plans of the products it has done.
type blas struct {
	d         *Device
	lib       library
	handle    uintptr
	tf32      bool // of float32 operands
	workspace uint64
	size      int64 // of the workspace, from the pool
	plans     map[planKey]*plan
	without   map[planKey]bool // products that cuBLASLt has no algorithm for
	factors   [3]float32       // 0, 1 and that of the product at hand, where C can read them
	whole     [2]int32         // the same for integers

	create, destroy, newDesc, dropDesc, setDesc, newLayout, dropLayout uintptr
	newPreference, dropPreference, setPreference, heuristic, matmul    uintptr
}

// Numbers from cublasLt.h and library_types.h.
const (
	computeFloat32 = 68 // CUBLAS_COMPUTE_32F
	computeTF32    = 77 // CUBLAS_COMPUTE_32F_FAST_TF32
	computeInt32   = 72 // CUBLAS_COMPUTE_32I

	typeFloat32  = 0  // CUDA_R_32F
	typeFloat16  = 2  // CUDA_R_16F
	typeInt8     = 3  // CUDA_R_8I
	typeInt32    = 10 // CUDA_R_32I
	typeBFloat16 = 14 // CUDA_R_16BF
	typeE4M3     = 28 // CUDA_R_8F_E4M3

	descTransA    = 3
	descTransB    = 4
	descScaleA    = 17 // a pointer; B follows
	descFastAccum = 25
	descScaleMode = 31 // of A; B follows

	scaleOuterVector = 3 // CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F: a factor for each row of dst, or each column

	preferenceWorkspace  = 1
	preferenceAlignmentA = 5 // B, C, D follow

	workspaceBytes = 32 << 20
	maxPlans       = 4096 // packed batches come in many lengths
)

// float8 is the type of e4m3 operands.
const float8 device.DType = 255

// gemm describes a product of op(a), m×k, by op(b), k×n. Operands of a float type give that type or
// Float; those of Int8, with transB alone, give Int32; those of float8, likewise, a narrow type.
type gemm struct {
	m, n, k                    int
	transA, transB, accumulate bool
	operands, result           device.DType
	stride                     int     // elements from one row of dst to the next; 0: n
	factor                     float32 // of the product; 0: 1
	addend                     uint64  // the matrix of dst's layout that accumulate adds; 0: dst
	rows, columns              uint64  // of float8: what each row and column of the product is multiplied by
}

// planKey tells products apart that need their own algorithm. align holds what is known of the
// addresses of a, b, dst and the addend: the exponents of the powers of two that divide them, up to 2⁸.
type planKey struct {
	gemm  // without accumulate and what comes after stride
	align [4]uint8
}

// plan is a described product with the algorithm that cuBLASLt chose. The choice depends on the shape
// alone, so the same product is computed in the same order every time.
type plan struct {
	desc, a, b, c uintptr
	choice        heuristicResult
}

// heuristicResult is cublasLtMatmulHeuristicResult_t.
type heuristicResult struct {
	algorithm [8]uint64
	workspace uint64
	state     int32
	waves     float32
	_         [4]int32
}

// openBLAS opens the first cuBLASLt that starts with this driver.
func openBLAS(d *Device, tf32 bool) (*blas, error) {
	b := &blas{d: d, plans: map[planKey]*plan{}, without: map[planKey]bool{}, tf32: tf32, factors: [3]float32{0, 1}, whole: [2]int32{0, 1}}
	var err error
	if b.workspace, b.size, err = d.pool.get(workspaceBytes); err != nil {
		return nil, fmt.Errorf("cuda: workspace of cuBLASLt: %w", err)
	}
	err = openAny(candidates(blasNames, folders()), func(l library) error {
		err := l.resolve(map[string]*uintptr{
			"cublasLtCreate": &b.create, "cublasLtDestroy": &b.destroy,
			"cublasLtMatmulDescCreate": &b.newDesc, "cublasLtMatmulDescDestroy": &b.dropDesc, "cublasLtMatmulDescSetAttribute": &b.setDesc,
			"cublasLtMatrixLayoutCreate": &b.newLayout, "cublasLtMatrixLayoutDestroy": &b.dropLayout,
			"cublasLtMatmulPreferenceCreate": &b.newPreference, "cublasLtMatmulPreferenceDestroy": &b.dropPreference,
			"cublasLtMatmulPreferenceSetAttribute": &b.setPreference,
			"cublasLtMatmulAlgoGetHeuristic":       &b.heuristic, "cublasLtMatmul": &b.matmul,
		})
		if err != nil {
			return err
		}
		b.lib = l
		return b.call("cublasLtCreate", b.create, uintptr(unsafe.Pointer(&b.handle)))
	})
	if err != nil {
		d.pool.put(b.workspace, b.size)
		return nil, fmt.Errorf("cuda: %w: %s; put %s beside the program, install CUDA's cuBLAS (12 or 13), or name its folder in the library path",
			ErrNoBLAS, oneLine(err), blasNames[0])
	}
	return b, nil
}

func (b *blas) close() {
	b.forget()
	b.d.pool.put(b.workspace, b.size)
	_ = b.call("cublasLtDestroy", b.destroy, b.handle) // the context goes next
}

// statuses are the names of cublasStatus_t.
var statuses = map[uint32]string{1: "not initialized", 3: "allocation failed", 7: "invalid value", 8: "architecture mismatch",
	11: "mapping error", 13: "execution failed", 14: "internal error", 15: "not supported", 16: "license error"}

//go:uintptrescapes
func (b *blas) call(name string, function uintptr, args ...uintptr) error {
	if code := uint32(callC(function, args...)); code != 0 {
		return fmt.Errorf("%s: status %d, %s", name, code, statuses[code])
	}
	return nil
}

func alignment(address uint64) uint8 { return uint8(min(8, bits.TrailingZeros64(address))) }

// product is MatMul on addresses. cuBLASLt works on column-major matrices, in which a row-major
// matrix is its transpose: dstᵀ[N,M] = op(b)ᵀ·op(a)ᵀ.
func (c *call) product(dst, a, b uint64, g gemm) {
	if c.failed || g.m == 0 || g.n == 0 {
		return
	}
	from := dst // what is added
	if g.accumulate && g.addend != 0 {
		from = g.addend
	}
	if g.k == 0 {
		if g.accumulate {
			c.copy(dst, from, size(g.result)*g.m*g.n)
		} else {
			c.zero(dst, size(g.result)*g.m*g.n)
		}
		return
	}
	l := c.d.blas
	p, err := l.plan(key(dst, from, a, b, g))
	if err != nil {
		c.fail("product of %d×%d by %d×%d: %w", g.m, g.k, g.k, g.n, err)
		return
	}
	alpha, beta := unsafe.Pointer(&l.factors[1]), unsafe.Pointer(&l.factors[0])
	switch {
	case g.operands == device.Int8:
		alpha, beta = unsafe.Pointer(&l.whole[1]), unsafe.Pointer(&l.whole[0])
	case g.accumulate:
		beta = alpha
	}
	if g.operands == float8 {
		for i, scales := range []uint64{g.columns, g.rows} {
			c.check("product", l.attribute(p.desc, descScaleA+i, unsafe.Pointer(&scales), 8))
		}
	}
	if g.factor != 0 {
		l.factors[2] = g.factor
		alpha = unsafe.Pointer(&l.factors[2])
	}
	c.check("product", l.call("cublasLtMatmul", l.matmul, l.handle, p.desc, uintptr(alpha),
		uintptr(b), p.a, uintptr(a), p.b, uintptr(beta), uintptr(from), p.c, uintptr(dst), p.c,
		uintptr(unsafe.Pointer(&p.choice.algorithm[0])), uintptr(l.workspace), workspaceBytes, c.d.stream))
}

func key(dst, addend, a, b uint64, g gemm) planKey {
	g.accumulate, g.factor, g.addend, g.rows, g.columns = false, 0, 0, 0, 0
	if g.stride == 0 {
		g.stride = g.n
	}
	return planKey{g, [4]uint8{alignment(a), alignment(b), alignment(dst), alignment(addend)}}
}

// types are cuBLASLt's numbers for a product: its arithmetic, the type of its factors, of a and b, and
// of dst.
func (b *blas) types(g gemm) (compute, factors, operands, result int32) {
	compute, factors = computeFloat32, typeFloat32
	operands, result = dataType(g.operands), dataType(g.result)
	switch {
	case g.operands == device.Int8:
		compute, factors = computeInt32, typeInt32
	case g.operands == device.Float && b.tf32:
		compute = computeTF32
	}
	return compute, factors, operands, result
}

func dataType(t device.DType) int32 {
	switch t {
	case device.Int32:
		return typeInt32
	case device.BFloat16:
		return typeBFloat16
	case device.Float16:
		return typeFloat16
	case device.Int8:
		return typeInt8
	case float8:
		return typeE4M3
	}
	return typeFloat32
}

// has tells whether there is an algorithm for a product.
func (b *blas) has(key planKey) bool {
	if b.without[key] {
		return false
	}
	if _, err := b.plan(key); err != nil {
		b.without[key] = true
		return false
	}
	return true
}

// plan describes a product, or finds the description made before.
func (b *blas) plan(key planKey) (*plan, error) {
	if p, ok := b.plans[key]; ok {
		return p, nil
	}
	if len(b.plans) >= maxPlans {
		b.forget()
	}
	p := &plan{}
	if err := b.describe(p, key); err != nil {
		b.drop(p)
		return nil, err
	}
	b.plans[key] = p
	return p, nil
}

func (b *blas) describe(p *plan, key planKey) error {
	compute, factors, operands, result := b.types(key.gemm)
	if err := b.call("cublasLtMatmulDescCreate", b.newDesc, uintptr(unsafe.Pointer(&p.desc)), uintptr(compute), uintptr(factors)); err != nil {
		return err
	}
	// The first operand is b, seen [N,K] as stored or turned from [K,N]; the second is a.
	first, second := storage{key.n, key.k, key.transB}, storage{key.k, key.m, key.transA}
	for i, s := range []storage{first, second} {
		var turned int32
		if s.turned {
			turned = 1
		}
		if err := b.attribute(p.desc, descTransA+i, unsafe.Pointer(&turned), 4); err != nil {
			return err
		}
	}
	if key.operands == float8 {
		if err := b.describeScales(p.desc); err != nil {
			return err
		}
	}
	for _, l := range []struct {
		to   *uintptr
		kind int32
		s    storage
	}{{&p.a, operands, first}, {&p.b, operands, second}, {&p.c, result, storage{key.n, key.m, false}}} {
		rows, columns := l.s.stored()
		stride := rows
		if l.to == &p.c {
			stride = key.stride
		}
		if err := b.call("cublasLtMatrixLayoutCreate", b.newLayout, uintptr(unsafe.Pointer(l.to)), uintptr(l.kind), uintptr(rows), uintptr(columns), uintptr(stride)); err != nil {
			return err
		}
	}
	var preference uintptr
	if err := b.call("cublasLtMatmulPreferenceCreate", b.newPreference, uintptr(unsafe.Pointer(&preference))); err != nil {
		return err
	}
	defer func() { _ = b.call("", b.dropPreference, preference) }() // it holds no resource of the card
	size := uint64(workspaceBytes)
	if err := b.call("cublasLtMatmulPreferenceSetAttribute", b.setPreference, preference, preferenceWorkspace, uintptr(unsafe.Pointer(&size)), 8); err != nil {
		return err
	}
	for i, exponent := range []uint8{key.align[1], key.align[0], key.align[3], key.align[2]} {
		least := uint32(1) << exponent
		if err := b.call("cublasLtMatmulPreferenceSetAttribute", b.setPreference, preference, uintptr(preferenceAlignmentA+i), uintptr(unsafe.Pointer(&least)), 4); err != nil {
			return err
		}
	}
	var found int32
	if err := b.call("cublasLtMatmulAlgoGetHeuristic", b.heuristic, b.handle, p.desc, p.a, p.b, p.c, p.c, preference, 1,
		uintptr(unsafe.Pointer(&p.choice)), uintptr(unsafe.Pointer(&found))); err != nil {
		return err
	}
	if found < 1 || p.choice.state != 0 {
		return fmt.Errorf("%s has no algorithm for it (status %d)", b.lib.path, p.choice.state)
	}
	return nil
}

// describeScales says that a product of codes has scales for both operands, and sums in the tensor cores' own
// precision: its error, about 2⁻¹⁰ of sums of 4,096 terms, is far below that of the codes.
func (b *blas) describeScales(desc uintptr) error {
	mode, fast, somewhere := int32(scaleOuterVector), int8(1), b.workspace // the choice of an algorithm wants an address
	return errors.Join(
		b.attribute(desc, descFastAccum, unsafe.Pointer(&fast), 1),
		b.attribute(desc, descScaleMode, unsafe.Pointer(&mode), 4), b.attribute(desc, descScaleMode+1, unsafe.Pointer(&mode), 4),
		b.attribute(desc, descScaleA, unsafe.Pointer(&somewhere), 8), b.attribute(desc, descScaleA+1, unsafe.Pointer(&somewhere), 8))
}

func (b *blas) attribute(desc uintptr, which int, value unsafe.Pointer, bytes int) error {
	return b.call("cublasLtMatmulDescSetAttribute", b.setDesc, desc, uintptr(which), uintptr(value), uintptr(bytes))
}

// storage is an operand of rows × columns in column-major order, or stored the other way round.
type storage struct {
	rows, columns int
	turned        bool
}

func (s storage) stored() (rows, columns int) {
	if s.turned {
		return s.columns, s.rows
	}
	return s.rows, s.columns
}

// forget drops every plan.
func (b *blas) forget() {
	for key, p := range b.plans {
		b.drop(p)
		delete(b.plans, key)
	}
}

func (b *blas) drop(p *plan) {
	for _, layout := range []uintptr{p.a, p.b, p.c} {
		if layout != 0 {
			_ = b.call("", b.dropLayout, layout) // frees host memory alone
		}
	}
	if p.desc != 0 {
		_ = b.call("", b.dropDesc, p.desc)
	}
}
