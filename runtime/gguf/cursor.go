package gguf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Errors a caller may want to tell apart; test with errors.Is.
var (
	ErrFormat    = errors.New("not a valid GGUF file")
	ErrTruncated = errors.New("truncated GGUF file")
	ErrNoTensor  = errors.New("no such tensor")
)

// cursor reads a file's head front to back through a small window, and never more than the file
// holds. Its first error stays.
type cursor struct {
	r        io.ReaderAt
	at, size int64
	window   []byte // the bytes from at on that were read already
	buf      [32 << 10]byte
	err      error
}

func (c *cursor) left() int64 { return c.size - c.at }

// fail keeps the first error.
func (c *cursor) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// has says whether n bytes are left, each of count things taking at least one of each bytes.
func (c *cursor) has(count uint64, each int64) bool {
	if c.err != nil {
		return false
	}
	if count > uint64(c.left()/each) {
		c.fail("%w: at byte %d, %d entries of at least %d bytes each are announced and %d bytes are left", ErrTruncated, c.at, count, each, c.left())
		return false
	}
	return true
}

// take gives the next n bytes, at most the window's size; they are valid until the next call. On an
// error it gives zeros.
func (c *cursor) take(n int) []byte {
	if !c.has(uint64(n), 1) {
		return make([]byte, n)
	}
	if len(c.window) < n {
		fill := c.buf[:min(int64(len(c.buf)), c.left())]
		if _, err := c.r.ReadAt(fill, c.at); err != nil && !errors.Is(err, io.EOF) {
			c.fail("read at byte %d: %w", c.at, err)
			return make([]byte, n)
		}
		c.window = fill
	}
	b := c.window[:n]
	c.window = c.window[n:]
	c.at += int64(n)
	return b
}

func (c *cursor) u32() uint32 { return binary.LittleEndian.Uint32(c.take(4)) }
func (c *cursor) u64() uint64 { return binary.LittleEndian.Uint64(c.take(8)) }

// skip passes over n bytes.
func (c *cursor) skip(n uint64) {
	if !c.has(n, 1) {
		return
	}
	c.at += int64(n)
	if n < uint64(len(c.window)) {
		c.window = c.window[n:]
	} else {
		c.window = nil
	}
}

// text reads a string of at most limit bytes; 0 is no limit but the file's size.
func (c *cursor) text(what string, limit uint64) string {
	n := c.u64()
	if limit > 0 && n > limit && c.err == nil {
		c.fail("%w: at byte %d, %s takes %d bytes, at most %d are allowed", ErrFormat, c.at, what, n, limit)
	}
	if !c.has(n, 1) {
		return ""
	}
	if n <= uint64(len(c.buf)) {
		return string(c.take(int(n)))
	}
	b := make([]byte, n)
	if _, err := c.r.ReadAt(b, c.at); err != nil && !errors.Is(err, io.EOF) {
		c.fail("read at byte %d: %w", c.at, err)
	}
	c.skip(n)
	return string(b)
}
