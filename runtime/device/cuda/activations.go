package cuda

import (
	"slices"
	"unsafe"

	"triality/runtime/device"
)

// int8Activations are what int8 products of the same activations have in common, each found when it is
// first needed. Addresses are 0 before, and those of outliers where there is no threshold.
type int8Activations struct {
	x                  uint64
	t, k               int
	threshold          float64
	stored             device.DType
	flags, list, found uint64 // the outlier columns
	counted            bool
	outliers           int    // once counted
	codes, rows        uint64 // of the others, and the scales of the rows
	gathered           uint64 // the outlier columns, side by side
	rounded            uint64 // the activations as the codes give them back
	spans              []span // between two products
}

// flagRows is the number of rows that a block looks for outliers in.
const flagRows = 64

// activations are those that the last product kept, or new ones.
func (c *call) activations(x uint64, t, k int, threshold float64, again bool) int8Activations {
	a := int8Activations{x: x, t: t, k: k, threshold: threshold, stored: c.stored}
	if c.failed {
		return a
	}
	kept := c.d.activations
	c.d.activations = int8Activations{}
	c.scratch = append(c.scratch, kept.spans...)
	kept.spans = nil
	if again && kept.x == x && kept.t == t && kept.k == k && kept.threshold == threshold && kept.stored == c.stored {
		return kept
	}
	if threshold > 0 {
		a.flags, a.list, a.found = c.temporary(k), c.temporary(4*k), c.temporary(4)
		c.zero(a.flags, k)
		width := 256 * 16 / c.width() // columns of a block
		c.launch(c.kernel("flag_outliers"), (k+width-1)/width, (t+flagRows-1)/flagRows, 256, 0, a.flags, x, i32(t), i32(k), i32(flagRows), f32(threshold))
		c.launch("list_outliers", 1, 1, 256, 0, a.list, a.found, a.flags, i32(k))
	}
	return a
}

// keep saves their memory from the end of the call, for the next one.
func (c *call) keep(a int8Activations) {
	if c.failed {
		return
	}
	mine := []uint64{a.flags, a.list, a.found, a.codes, a.rows, a.gathered, a.rounded}
	c.scratch = slices.DeleteFunc(c.scratch, func(s span) bool {
		if slices.Contains(mine, s.at) {
			a.spans = append(a.spans, s)
			return true
		}
		return false
	})
	c.d.activations = a
}

// count waits for the number of outliers.
func (c *call) count(a *int8Activations) {
	if a.counted || a.flags == 0 || c.failed {
		return
	}
	n := new(int32)
	c.check("copy", c.d.driver.copyOut(unsafe.Pointer(n), a.found, 4, c.d.stream))
	_ = c.wait() // kept in the call
	a.outliers, a.counted = int(*n), true
}

// quantized gives codes and scales of the columns that are no outliers.
func (c *call) quantized(a *int8Activations) {
	if a.codes == 0 {
		a.codes, a.rows = c.temporary(a.t*a.k), c.temporary(4*a.t)
		c.quantize(a.codes, a.rows, a.x, a.flags, a.t, a.k)
	}
}

// outlierWidth is that of the gathered outliers, which end in zeros.
func (a *int8Activations) outlierWidth() int { return (a.outliers + 63) / 64 * 64 }

// gather puts the outlier columns side by side.
func (c *call) gather(a *int8Activations) {
	if a.gathered == 0 {
		a.gathered = c.temporary(c.width() * a.t * a.outlierWidth())
		c.launch(c.kernel("gather_columns"), a.t, 1, 256, 0, a.gathered, a.x, a.list, i32(a.outliers), i32(a.k), i32(a.outlierWidth()))
	}
}
