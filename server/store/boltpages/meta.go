package boltpages

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

const (
	magic       = 0xED0CDAED
	version     = 2
	metaSize    = 64 // magic, version, page size, flags (4 each), root (8), its sequence (8), free list (8), pages (8), transaction (8), checksum (8)
	minPageSize = 1 << 10
	maxPageSize = 16 << 20

	missing = "; the state of the other meta page is used, and the newest commit may be missing"
)

// meta is what a meta page holds.
type meta struct {
	pageSize uint32
	root     uint64
	sequence uint64 // the root bucket's
	list     uint64 // page of the free list, or noList
	pages    uint64 // all pages are below it
	txid     uint64
}

// newestMeta finds the meta page that bbolt uses. The other may be damaged: a power cut while it was
// written leaves it so, the state before is whole, and the next commit writes it anew. That is a fault
// all the same, since after anything else the newest commit is missing.
func newestMeta(r io.ReaderAt, size int64) (*meta, []Fault, error) {
	first, why, err := readMeta(r, 0, size)
	if err != nil {
		return nil, nil, err
	}
	// The second stands a page after the first, whose size only they know.
	var second *meta
	whySecond := "no meta page"
	sizes := []int64{}
	if first != nil {
		sizes = append(sizes, int64(first.pageSize))
	} else {
		for n := int64(minPageSize); n <= maxPageSize; n *= 2 {
			sizes = append(sizes, n)
		}
	}
	for _, n := range sizes {
		if second, whySecond, err = readMeta(r, n, size); err != nil {
			return nil, nil, err
		}
		if second != nil && int64(second.pageSize) == n {
			break
		}
		second = nil
	}
	switch {
	case first == nil && second == nil:
		return nil, []Fault{{Page: 0, Text: why + ", and so is the second meta page"}}, nil
	case first == nil:
		return second, []Fault{{Page: 0, Text: why + missing, Recoverable: true}}, nil
	case second == nil:
		return first, []Fault{{Page: 1, Text: whySecond + missing, Recoverable: true}}, nil
	case second.txid > first.txid:
		return second, nil, nil
	}
	return first, nil, nil
}

// readMeta reads the meta page at an offset; nil and why where it is none.
func readMeta(r io.ReaderAt, at, size int64) (*meta, string, error) {
	b := make([]byte, pageHeader+metaSize)
	if at+int64(len(b)) > size {
		return nil, "the file is too short for a meta page", nil
	}
	if _, err := r.ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
		return nil, "", fmt.Errorf("read the meta page at %d: %w", at, err)
	}
	m := b[pageHeader:]
	sum := fnv.New64a()
	sum.Write(m[:metaSize-8])
	switch {
	case le.Uint32(m) != magic:
		return nil, "it is no meta page of a bbolt file", nil
	case le.Uint32(m[4:]) != version:
		return nil, fmt.Sprintf("it is of bbolt's file format %d, not %d", le.Uint32(m[4:]), version), nil
	case le.Uint64(m[metaSize-8:]) != sum.Sum64():
		return nil, "the checksum of this meta page is wrong", nil
	}
	out := &meta{pageSize: le.Uint32(m[8:]), root: le.Uint64(m[16:]), sequence: le.Uint64(m[24:]), list: le.Uint64(m[32:]), pages: le.Uint64(m[40:]), txid: le.Uint64(m[48:])}
	if n := out.pageSize; n < minPageSize || n > maxPageSize || n&(n-1) != 0 {
		return nil, fmt.Sprintf("it says that pages have %d bytes", n), nil
	}
	if out.pages < 3 || out.pages > 1<<40 {
		return nil, fmt.Sprintf("it says that there are %d pages", out.pages), nil
	}
	return out, "", nil
}
