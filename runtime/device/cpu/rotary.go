package cpu

import (
	"math"
	"slices"

	"triality/runtime/device"
)

// rotaryTable keeps the sines and cosines of every position seen so far: they cost more than the
// turn itself, and each layer of a model asks for the same ones.
type rotaryTable struct {
	freq     []float32
	rows     int
	cos, sin []float32 // [rows, len(freq)]
}

// maxTable is the number of positions kept; beyond it angles are computed for each row.
const maxTable = 1 << 16

// angles fills cos and sin of one position. The product is rounded to float32, as Hugging Face's is.
func angles(cos, sin, freq []float32, pos int32) {
	for i, f := range freq {
		s, c := math.Sincos(float64(float32(pos) * f))
		cos[i], sin[i] = float32(c), float32(s)
	}
}

// cover makes the table hold the positions below rows for these frequencies.
func (r *rotaryTable) cover(d *Device, freq []float32, rows int) {
	if !slices.Equal(r.freq, freq) {
		*r = rotaryTable{freq: slices.Clone(freq)}
	}
	if rows <= r.rows {
		return
	}
	rows = max(256, rows+rows/2)
	half, old := len(freq), r.rows
	cos, sin := make([]float32, rows*half), make([]float32, rows*half)
	copy(cos, r.cos)
	copy(sin, r.sin)
	d.splitRows(rows-old, half*16, func(from, to int) {
		for p := old + from; p < old+to; p++ {
			angles(cos[p*half:(p+1)*half], sin[p*half:(p+1)*half], freq, int32(p))
		}
	})
	r.rows, r.cos, r.sin = rows, cos, sin
}

// Rotary turns each head by pos[t]·freq (Su et al., RoFormer, 2021; half-split pairs).
func (d *Device) Rotary(dst, x, pos, freq device.Buffer, T, heads, headDim, pairs int, scale float64, inverse bool) {
	c := d.begin("rotary")
	defer c.end()
	width, half := heads*headDim, pairs
	o := c.floats("dst", dst, T*width)
	v := c.floats("x", x, T*width)
	p := c.indices("pos", pos, T)
	f := c.floats("freq", freq, half)
	if headDim%2 != 0 || 2*pairs > headDim {
		c.fail("head size %d is odd or less than %d pairs", headDim, pairs)
	}
	if c.failed || T*width == 0 {
		return
	}
	largest := slices.Max(p)
	kept := slices.Min(p) >= 0 && largest < maxTable
	if kept {
		d.angle.cover(d, f, int(largest)+1)
	}
	factor, turn := float32(scale), float32(scale)
	if inverse {
		turn = -turn
	}
	d.splitRows(T, width, func(from, to int) {
		scratch := make([]float32, 2*half)
		for t := from; t < to; t++ {
			cos, sin := scratch[:half], scratch[half:]
			if kept {
				at := int(p[t]) * half
				cos, sin = d.angle.cos[at:at+half], d.angle.sin[at:at+half]
			} else {
				angles(cos, sin, f, p[t])
			}
			for h := range heads {
				at := t*width + h*headDim
				x1, x2 := v[at:at+half], v[at+half:at+2*half]
				y1, y2 := o[at:at+half], o[at+half:at+2*half]
				copy(o[at+2*half:at+headDim], v[at+2*half:at+headDim])
				for i, co := range cos {
					co, si := co*factor, sin[i]*turn
					a, b := x1[i], x2[i]
					y1[i] = a*co - b*si
					y2[i] = b*co + a*si
				}
			}
		}
	})
}
