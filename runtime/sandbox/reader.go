package sandbox

import (
	"fmt"
	"unicode/utf8"
)

// reader walks untrusted bytes. The first fault sticks in err; after it every
// read returns zero, so callers check err once a loop.
type reader struct {
	b    []byte
	pos  int
	base int // offset of b in the module, for errors
	err  error

	growsTable bool // a table.grow was read
}

func (r *reader) failf(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("at byte %d: %s", r.base+r.pos, fmt.Sprintf(format, args...))
	}
}

func (r *reader) left() int { return len(r.b) - r.pos }

func (r *reader) byte() byte {
	if r.err != nil {
		return 0
	}
	if r.left() == 0 {
		r.failf("unexpected end")
		return 0
	}
	r.pos++
	return r.b[r.pos-1]
}

func (r *reader) bytes(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || n > r.left() {
		r.failf("%d bytes announced, %d left", n, r.left())
		return nil
	}
	r.pos += n
	return r.b[r.pos-n : r.pos]
}

// unsigned reads a LEB128 number of at most bits bits.
func (r *reader) unsigned(bits int) uint64 {
	var v uint64
	for shift := 0; ; shift += 7 {
		c := r.byte()
		if r.err != nil {
			return 0
		}
		if shift+7 > bits && c>>(bits-shift) != 0 {
			r.failf("number longer than %d bits", bits)
			return 0
		}
		v |= uint64(c&0x7f) << shift
		if c&0x80 == 0 {
			return v
		}
	}
}

func (r *reader) u32() uint32 { return uint32(r.unsigned(32)) }

// signed skips a signed LEB128 number of at most bits bits and returns it.
func (r *reader) signed(bits int) int64 {
	var v int64
	for shift := 0; ; shift += 7 {
		c := r.byte()
		if r.err != nil {
			return 0
		}
		if shift+7 >= bits {
			// The last byte: no continuation, and the bits beyond the sign
			// repeat it.
			keep := bits - shift
			ext := int8(c<<1) >> 1 >> (keep - 1)
			if c&0x80 != 0 || ext != 0 && ext != -1 {
				r.failf("number longer than %d bits", bits)
				return 0
			}
		}
		v |= int64(c&0x7f) << shift
		if c&0x80 == 0 {
			if s := shift + 7; s < 64 && c&0x40 != 0 {
				v |= -1 << s
			}
			return v
		}
	}
}

// count reads the length of a vector whose items have at least size bytes
// each, so that it can never announce more than is there.
func (r *reader) count(what string, size, most int) int {
	n := r.u32()
	if r.err == nil && uint64(n)*uint64(size) > uint64(r.left()) {
		r.failf("%d %s announced, %d bytes left", n, what, r.left())
	}
	if r.err == nil && int64(n) > int64(most) {
		r.failf("%d %s, at most %d", n, what, most)
	}
	if r.err != nil {
		return 0
	}
	return int(n)
}

// name reads a UTF-8 name.
func (r *reader) name() string {
	n := r.count("bytes of a name", 1, maxModuleName)
	b := r.bytes(n)
	if r.err == nil && !utf8.Valid(b) {
		r.failf("a name is not UTF-8")
	}
	return string(b)
}

// sub returns a reader for the next n bytes and skips them.
func (r *reader) sub(n int) *reader {
	at := r.base + r.pos
	return &reader{b: r.bytes(n), base: at, err: r.err}
}
