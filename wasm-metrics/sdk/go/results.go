package metric

import "unsafe"

const resultMagic = 0x31524D54

// Kinds of results.
const (
	scalar, vector, column           = 1, 2, 3
	interval, groups, groupIntervals = 4, 5, 6 // of version 1.1
)

// Results collects what a metric returns. A value that is NaN or infinite is
// sent as undefined, which is how a rate over no rows is said.
type Results struct {
	kinds  []uint32
	names  []string
	values [][]float64
	groups [][]string
}

// Scalar adds one value.
func (r *Results) Scalar(name string, v float64) { r.add(scalar, name, []float64{v}) }

// Vector adds any number of values.
func (r *Results) Vector(name string, v []float64) { r.add(vector, name, v) }

// Column adds one value a row of the table.
func (r *Results) Column(name string, v []float64) { r.add(column, name, v) }

// Interval adds a value and its interval, in version 1.1.
func (r *Results) Interval(name string, v, low, high float64) {
	r.add(interval, name, []float64{v, low, high})
}

// Groups adds one value for each of the groups, in version 1.1. Their names have 1
// to 128 bytes and are all different.
func (r *Results) Groups(name string, names []string, v []float64) {
	r.add(groups, name, v)
	r.groups[len(r.groups)-1] = names
}

// GroupIntervals adds a value and its interval for each of the groups, in version
// 1.1: values holds value, low and high of the first, and so on.
func (r *Results) GroupIntervals(name string, names []string, values []float64) {
	r.add(groupIntervals, name, values)
	r.groups[len(r.groups)-1] = names
}

func (r *Results) add(kind uint32, name string, v []float64) {
	r.kinds, r.names, r.values, r.groups = append(r.kinds, kind), append(r.names, name), append(r.values, v), append(r.groups, nil)
}

// Block returns the results as the host reads them.
func (r *Results) Block() []byte {
	size := 16
	for i, name := range r.names {
		size += 32 + len(name) + 8*len(r.values[i]) + (len(r.values[i])+7)/8 + 4
		for _, g := range r.groups[i] {
			size += 4 + len(g)
		}
	}
	b := header(make([]byte, 0, size), 0, len(r.names))
	b = b[:16+32*len(r.names)]
	for i, name := range r.names {
		values := r.values[i]
		nameAt := len(b)
		b = append(b, name...)
		dataAt, validityAt := len(b), 0
		b = append(b, bytesOf(values)...)
		if !finite(values) {
			validityAt = len(b)
			b = b[:len(b)+(len(values)+7)/8]
			undefine(b[dataAt:validityAt], b[validityAt:], values)
		}
		groupsAt := 0
		if k := r.kinds[i]; k == groups || k == groupIntervals {
			groupsAt = len(b)
			b = appendGroups(b, r.groups[i])
		}
		rec := b[16+32*i:]
		for j, v := range [8]int{int(r.kinds[i]), f64, nameAt, len(name), dataAt, 8 * len(values), validityAt, groupsAt} {
			put(rec[4*j:], uint32(v))
		}
	}
	return b
}

// appendGroups writes the names of groups: where each begins and the last ends,
// then the bytes.
func appendGroups(b []byte, names []string) []byte {
	end, at := 0, len(b)
	b = b[:at+4*(len(names)+1)]
	put(b[at:], 0)
	for i, name := range names {
		end += len(name)
		put(b[at+4*(i+1):], uint32(end))
	}
	for _, name := range names {
		b = append(b, name...)
	}
	return b
}

// finite reports whether no value is NaN or infinite: v - v is 0 for those
// that are, and NaN for the others. Four sums do not wait for each other.
func finite(values []float64) bool {
	var a, b, c, d float64
	for ; len(values) >= 4; values = values[4:] {
		a += values[0] - values[0]
		b += values[1] - values[1]
		c += values[2] - values[2]
		d += values[3] - values[3]
	}
	for _, v := range values {
		a += v - v
	}
	return a+b+c+d == 0
}

// undefine writes the bitmap, which is all clear, and makes 0 of the values
// that are NaN or infinite.
func undefine(data, validity []byte, values []float64) {
	for i, v := range values {
		if v-v == 0 {
			validity[i>>3] |= 1 << (i & 7)
		} else {
			clear(data[8*i : 8*i+8])
		}
	}
}

// bytesOf is the values' own memory, which WebAssembly keeps as a block does.
func bytesOf(values []float64) []byte {
	if len(values) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), 8*len(values))
}

// errorBlock returns an error text as the host reads it.
func errorBlock(text string) []byte {
	return append(header(make([]byte, 0, 16+len(text)), 1, len(text)), text...)
}

func header(b []byte, status uint32, n int) []byte {
	b = b[:16]
	for i, v := range [4]uint32{resultMagic, 1, status, uint32(n)} {
		put(b[4*i:], v)
	}
	return b
}

// put writes little-endian.
func put(b []byte, v uint32) {
	_ = b[3]
	b[0], b[1], b[2], b[3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
}
