package metricabi

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"
	"unsafe"
)

// Kind says how many values a result has.
type Kind uint32

// The kinds of version 1, and from Interval on of version 1.1.
const (
	Scalar         Kind = 1 // one value
	Vector         Kind = 2 // any number of values
	PerSample      Kind = 3 // one value a row of the table
	Interval       Kind = 4 // a value and its interval: value, low, high
	Groups         Kind = 5 // one value a group, by the groups' names
	GroupIntervals Kind = 6 // value, low, high a group
)

var kindNames = []string{Scalar: "scalar", Vector: "vector", PerSample: "column", Interval: "interval", Groups: "groups", GroupIntervals: "group_intervals"}

// width is how many numbers one value of the kind takes.
func (k Kind) width() int {
	if k == Interval || k == GroupIntervals {
		return 3
	}
	return 1
}

// grouped reports whether a result of the kind names groups.
func (k Kind) grouped() bool { return k == Groups || k == GroupIntervals }

func (k Kind) String() string { return nameOf(kindNames, uint32(k)) }

// MarshalText writes the kind's name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a kind's name.
func (k *Kind) UnmarshalText(b []byte) error {
	n, err := numberOf(kindNames, "kind", b)
	*k = Kind(n)
	return err
}

// Result is one named result of a metric.
type Result struct {
	Name   string    `json:"name"`
	Kind   Kind      `json:"kind"`
	Values []float64 `json:"values"` // finite; 0 where undefined

	// Undefined is nil where every value is defined; else Undefined[i] says
	// that value i has none (a rate over no rows, say).
	Undefined []bool `json:"undefined,omitempty"`

	// Groups names the groups of Groups and GroupIntervals, in the order of the values.
	Groups []string `json:"groups,omitempty"`
}

// Defined reports whether value i is defined.
func (r *Result) Defined(i int) bool { return r.Undefined == nil || !r.Undefined[i] }

// Limits bounds what DecodeResults accepts.
type Limits struct {
	Rows       int // rows of the table: the length of a column result
	MaxResults int // results in the block
	MaxVector  int // values of a vector
	MaxError   int // bytes of an error text
	MaxBytes   int // values of all results together, though in the block they may overlap
}

// DefaultLimits are the limits for a table of rows rows.
func DefaultLimits(rows int) Limits {
	return Limits{Rows: rows, MaxResults: 256, MaxVector: 1 << 16, MaxError: 4096, MaxBytes: 64 << 20}
}

// MetricError is the error text a metric returned instead of results.
type MetricError struct{ Text string }

func (e *MetricError) Error() string { return "the metric says: " + e.Text }

// Status words of a result block.
const (
	statusOK    = 0
	statusError = 1
)

// DecodeResults reads the block metric_eval returned. It refuses blocks that
// reach outside themselves, unknown kinds, names that are empty, longer than
// MaxNameBytes, not UTF-8, with control characters or used twice, and values
// that are NaN or infinite: a metric marks a value it cannot compute as
// undefined. A metric's own error text comes back as *MetricError.
func DecodeResults(b []byte, lim Limits) ([]Result, error) {
	if len(b) < headerSize {
		return nil, fmt.Errorf("metric results: %d bytes, the header alone has %d", len(b), headerSize)
	}
	le := binary.LittleEndian
	if m := le.Uint32(b); m != resultMagic {
		return nil, fmt.Errorf("metric results: magic is %#x, want %#x", m, resultMagic)
	}
	if v := le.Uint32(b[4:]); v != Version {
		return nil, fmt.Errorf("metric results: version %d, want %d", v, Version)
	}
	status, count := le.Uint32(b[8:]), le.Uint32(b[12:])
	switch status {
	case statusOK:
	case statusError:
		return nil, decodeError(b, count, lim)
	default:
		return nil, fmt.Errorf("metric results: status %d, want %d or %d", status, statusOK, statusError)
	}
	if int64(count) > int64(lim.MaxResults) || int(count) > (len(b)-headerSize)/recordSize {
		return nil, fmt.Errorf("metric results: %d results, at most %d and at most what fits %d bytes", count, lim.MaxResults, len(b))
	}
	out := make([]Result, 0, count)
	seen := make(map[string]bool, count)
	fills, total := make([]func() error, count), 0
	for i := range int(count) {
		r, data, validity, size, err := decodeResult(b, b[headerSize+recordSize*i:][:recordSize], lim)
		if err != nil {
			return nil, fmt.Errorf("metric results: result %d: %w", i, err)
		}
		if seen[r.Name] {
			return nil, fmt.Errorf("metric results: result %d: the name %q is used twice", i, r.Name)
		}
		seen[r.Name] = true
		if total += size; total > lim.MaxBytes {
			return nil, fmt.Errorf("metric results: result %d: more than %d bytes of values and names of groups in all", i, lim.MaxBytes)
		}
		out = append(out, r)
		fills[i] = func() error { return out[i].fill(data, validity) }
	}
	for i, err := range inParallel(fills, len(b)) {
		if err != nil {
			return nil, fmt.Errorf("metric results: result %d: %w", i, err)
		}
	}
	return out, nil
}

func decodeError(b []byte, n uint32, lim Limits) error {
	if int64(n) > int64(lim.MaxError) {
		return fmt.Errorf("metric results: error text of %d bytes, at most %d", n, lim.MaxError)
	}
	text, err := section(b, "error text", headerSize, n)
	if err != nil {
		return fmt.Errorf("metric results: %w", err)
	}
	if !utf8.Valid(text) {
		return fmt.Errorf("metric results: the error text is not UTF-8")
	}
	return &MetricError{Text: string(text)}
}

// decodeResult checks a record and returns its result without values, where
// these are, and how many bytes it will take.
func decodeResult(b, record []byte, lim Limits) (r Result, data, validity []byte, size int, err error) {
	le := binary.LittleEndian
	field := func(i int) uint32 { return le.Uint32(record[4*i:]) }
	kind, dtype := Kind(field(0)), DType(field(1))
	// The length comes first, so that nothing is copied for a name that is
	// refused anyway.
	if n := field(3); n > MaxNameBytes {
		return r, nil, nil, 0, fmt.Errorf("the name has %d bytes, at most %d", n, MaxNameBytes)
	}
	name, err := section(b, "name", field(2), field(3))
	if err != nil {
		return r, nil, nil, 0, err
	}
	r = Result{Name: string(name), Kind: kind}
	if err := checkName(r.Name); err != nil {
		return r, nil, nil, 0, err
	}
	groups := field(7)
	if dtype != F64 || groups != 0 && !kind.grouped() {
		return r, nil, nil, 0, fmt.Errorf("%q: dtype %s and reserved %d, want f64 and 0", r.Name, dtype, groups)
	}
	data, err = section(b, "data", field(4), field(5))
	if err != nil {
		return r, nil, nil, 0, fmt.Errorf("%q: %w", r.Name, err)
	}
	n := len(data) / 8
	size = len(data)
	switch {
	case len(data)%8 != 0:
		return r, nil, nil, 0, fmt.Errorf("%q: %d bytes are no whole number of f64", r.Name, len(data))
	case kind == Scalar && n != 1:
		return r, nil, nil, 0, fmt.Errorf("%q: a scalar with %d values", r.Name, n)
	case kind == PerSample && n != lim.Rows:
		return r, nil, nil, 0, fmt.Errorf("%q: a column with %d values for %d rows", r.Name, n, lim.Rows)
	case kind == Vector && n > lim.MaxVector:
		return r, nil, nil, 0, fmt.Errorf("%q: a vector with %d values, at most %d", r.Name, n, lim.MaxVector)
	case kind == Interval && n != 3:
		return r, nil, nil, 0, fmt.Errorf("%q: an interval with %d values, want the value, low and high", r.Name, n)
	case kind.grouped() && (n%kind.width() != 0 || n/kind.width() > MaxGroups):
		return r, nil, nil, 0, fmt.Errorf("%q: %d values of %s, want %d for each of at most %d groups", r.Name, n, kind, kind.width(), MaxGroups)
	case kind < Scalar || kind > GroupIntervals:
		return r, nil, nil, 0, fmt.Errorf("%q: unknown kind %d", r.Name, uint32(kind))
	}
	if kind.grouped() {
		names, err := decodeGroups(b, groups, n/kind.width(), lim.MaxBytes)
		if err != nil {
			return r, nil, nil, 0, fmt.Errorf("%q: %w", r.Name, err)
		}
		r.Groups = names
		for _, g := range names {
			size += len(g)
		}
	}
	if off := field(6); off != 0 {
		if validity, err = section(b, "validity", off, uint32((n+7)/8)); err != nil {
			return r, nil, nil, 0, fmt.Errorf("%q: %w", r.Name, err)
		}
	}
	return r, data, validity, size, nil
}

// fill copies the values, refusing what is not finite.
func (r *Result) fill(data, validity []byte) error {
	// The copy comes first: the block may be memory that the worker can still
	// write to, so nothing in it is looked at twice.
	r.Values = numbers(data)
	if validity != nil {
		r.undefine(validity)
	}
	if finite(r.Values) {
		return r.checkIntervals()
	}
	for i, v := range r.Values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%q: value %d is %v; mark it undefined in the validity bitmap instead", r.Name, i, v)
		}
	}
	return nil
}

// undefine marks the values whose bit is clear, and makes them zero.
func (r *Result) undefine(validity []byte) {
	n := len(r.Values)
	for at, bits := range validity {
		if bits == 0xff {
			continue
		}
		for i := at * 8; i < min(at*8+8, n); i++ {
			if bits>>(i%8)&1 != 0 {
				continue
			}
			if r.Undefined == nil {
				r.Undefined = make([]bool, n)
			}
			r.Undefined[i], r.Values[i] = true, 0
		}
	}
}

// numbers copies little-endian values.
func numbers(data []byte) []float64 {
	out := make([]float64, len(data)/8)
	if len(out) == 0 {
		return out
	}
	if littleEndian {
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&out[0])), 8*len(out)), data)
		return out
	}
	for i := range out {
		out[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
	}
	return out
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
