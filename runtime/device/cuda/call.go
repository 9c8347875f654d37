package cuda

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"unsafe"

	"triality/runtime/device"
)

// call is one launch: it holds the device, checks the arguments and keeps the first complaint.
type call struct {
	d       *Device
	op      string
	failed  bool
	err     error // the complaint of this call
	leave   func()
	scratch []span
	typed   bool         // stored is known
	stored  device.DType // the storage type of the call's activations and matrices
}

// span is memory of the pool.
type span struct {
	at   uint64
	size int64
}

func (d *Device) begin(op string) call {
	d.mu.Lock()
	c := call{d: d, op: op}
	if d.closed {
		c.fail("the device is closed")
		return c
	}
	leave, err := d.enter()
	c.leave = leave
	c.check("enter", err)
	return c
}

// end gives scratch memory back and lets the next call in.
func (c *call) end() {
	c.release(0)
	if c.leave != nil {
		c.leave()
	}
	c.d.mu.Unlock()
}

func (c *call) fail(format string, args ...any) {
	err := fmt.Errorf("cuda: "+c.op+": "+format, args...)
	if !c.failed {
		c.failed, c.err = true, err
	}
	if c.d.err == nil {
		c.d.err = err
	}
}

func (c *call) check(what string, err error) {
	if err != nil {
		c.fail("%s: %w", what, err)
	}
}

// operand gives the first n elements of an activation or a matrix, as an address. The first one of a
// call sets its storage type, c.stored, and every later one must share it.
func (c *call) operand(name string, b device.Buffer, n int) uint64 {
	return c.first(name, c.wholeOperand(name, b), n)
}

// wholeOperand is operand for a buffer that sets the length of others; nil after a complaint.
func (c *call) wholeOperand(name string, b device.Buffer) *buffer {
	m := c.own(name, b)
	switch {
	case m == nil:
		return nil
	case !m.t.IsFloat():
		c.fail("%s holds %v elements, needs floats", name, m.t)
		return nil
	case c.typed && m.t != c.stored:
		c.fail("%s holds %v elements, the operands before it %v", name, m.t, c.stored)
		return nil
	}
	c.typed, c.stored = true, m.t
	return m
}

// kernel names the variant of a kernel for the call's storage type.
func (c *call) kernel(name string) string { return name + suffix(c.stored) }

func suffix(t device.DType) string {
	switch t {
	case device.BFloat16:
		return "_bf16"
	case device.Float16:
		return "_f16"
	}
	return "_f32"
}

// width is the size of the call's storage type in bytes.
func (c *call) width() int { return size(c.stored) }

// size is the number of bytes of an element.
func size(t device.DType) int {
	switch t {
	case device.Int8:
		return 1
	case device.BFloat16, device.Float16:
		return 2
	}
	return 4
}

// floats gives the first n elements of a Float buffer, as an address.
func (c *call) floats(name string, b device.Buffer, n int) uint64 {
	return c.first(name, c.of(name, b, device.Float), n)
}

// bytes gives the first n elements of an Int8 buffer, as an address.
func (c *call) bytes(name string, b device.Buffer, n int) uint64 {
	return c.first(name, c.of(name, b, device.Int8), n)
}

// first is the address of a buffer that must hold n elements.
func (c *call) first(name string, m *buffer, n int) uint64 {
	if m == nil {
		return 0
	}
	if n < 0 || n > m.n {
		c.fail("%s has %d elements, needs %d", name, m.n, n)
	}
	return m.at
}

// whole gives a Float buffer, or nil after a complaint.
func (c *call) whole(name string, b device.Buffer) *buffer { return c.of(name, b, device.Float) }

// of gives a buffer of one type, or nil after a complaint.
func (c *call) of(name string, b device.Buffer, t device.DType) *buffer {
	m := c.own(name, b)
	if m != nil && m.t != t {
		c.fail("%s holds %v elements, needs %v", name, m.t, t)
		return nil
	}
	return m
}

// own gives a buffer of this device, or nil after a complaint.
func (c *call) own(name string, b device.Buffer) *buffer {
	m, ok := b.(*buffer)
	if !ok || m == nil || m.d != c.d {
		c.fail("%s is not a buffer of this device", name)
		return nil
	}
	return m
}

// indices gives the first n elements of an index buffer: the host's copy and the address.
func (c *call) indices(name string, b device.Buffer, n int) ([]int32, uint64) {
	m := c.of(name, b, device.Int32)
	if m == nil {
		return nil, 0
	}
	if n < 0 || n > m.n {
		c.fail("%s has %d elements, needs %d", name, m.n, n)
		return nil, 0
	}
	return m.host[:n:n], m.at
}

// within is indices whose values must lie in [lo, hi).
func (c *call) within(name string, b device.Buffer, n, lo, hi int) ([]int32, uint64) {
	x, at := c.indices(name, b, n)
	for i, v := range x {
		if int(v) < lo || int(v) >= hi {
			c.fail("%s[%d] is %d, outside [%d,%d)", name, i, v, lo, hi)
			return nil, 0
		}
	}
	return x, at
}

// temporary gives memory until the call ends; 0 after a complaint.
func (c *call) temporary(bytes int) uint64 {
	if c.failed || bytes == 0 {
		return 0
	}
	at, size, err := c.d.pool.get(int64(bytes))
	if err != nil {
		c.fail("scratch memory: %w", err)
		return 0
	}
	c.scratch = append(c.scratch, span{at, size})
	return at
}

// release gives back the temporary memory taken since there were n spans of it. Work that was launched
// may still use them: the stream orders their next use after it.
func (c *call) release(n int) {
	for _, s := range c.scratch[n:] {
		c.d.pool.put(s.at, s.size)
	}
	c.scratch = c.scratch[:n]
}

// table puts indices in temporary memory.
func (c *call) table(x []int32) uint64 {
	at := c.temporary(4 * len(x))
	if at != 0 {
		c.check("upload", c.d.staging.send(c.d, at, unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), 4*len(x))))
	}
	return at
}

// zero clears so many bytes.
func (c *call) zero(at uint64, bytes int) {
	if !c.failed && bytes > 0 {
		c.check("clear", c.d.driver.clear(at, bytes, c.d.stream))
	}
}

// The arguments of a kernel are eight bytes each, of which it reads as many as it declares.
func i32(v int) uint64     { return uint64(uint32(int32(v))) }
func i64(v int) uint64     { return uint64(v) }
func f32(v float64) uint64 { return uint64(math.Float32bits(float32(v))) }
func f64(v float64) uint64 { return math.Float64bits(v) }

var errNoKernel = errors.New("this card has none of that name")

// launch runs a kernel over a grid of blocks of threads, with shared bytes of dynamic shared memory.
// After a complaint, and for an empty grid, it does nothing.
func (c *call) launch(kernel string, gridX, gridY, block, shared int, args ...uint64) {
	d := c.d
	if c.failed || gridX == 0 || gridY == 0 {
		return
	}
	function, ok, err := d.function(kernel)
	if err != nil || !ok {
		c.check("kernel "+kernel, cmp.Or(err, errNoKernel))
		return
	}
	copy(d.slots[:], args)
	if err := d.driver.launch(function, [2]int{gridX, gridY}, block, shared, d.stream, &d.params[0]); err != nil {
		c.fail("launch of %s: %w", kernel, err)
	}
}

// each launches an element-wise kernel whose threads stride over n elements.
func (c *call) each(kernel string, n int, args ...uint64) {
	const block = 256
	c.launch(kernel, min((n+block-1)/block, 16*c.d.procs), 1, block, 0, args...)
}

// spans is the number of threads that n elements of the call's storage type keep busy, 16 bytes each.
func (c *call) spans(n int) int {
	w := 16 / c.width()
	return (n + w - 1) / w
}

// perRow launches a kernel with a block to each of T rows of D.
func (c *call) perRow(kernel string, T, D int, args ...uint64) {
	c.launch(kernel, T, 1, rowThreads(D), 0, args...)
}

// perWideRow is perRow for a kernel whose threads take eight elements of a narrow type at once.
func (c *call) perWideRow(kernel string, T, D int, args ...uint64) {
	if c.width() == 2 {
		D = (D + 7) / 8
		D = even(D, 256)
	}
	c.perRow(c.kernel(kernel), T, D, args...)
}

// even is the size of shares of n as equal as can be, of which there are no more than of size.
func even(n, size int) int {
	shares := max(1, (n+size-1)/size)
	return max(1, (n+shares-1)/shares)
}

// rowThreads is the block for a row: a multiple of 32, at most 256.
func rowThreads(D int) int { return min(256, max(32, (D+31)/32*32)) }
