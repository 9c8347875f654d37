// Package boltpages checks the pages of a bbolt file by reading them, without mapping the file and
// without bbolt, which panics on a page that makes no sense. The layout is that of bbolt's file format
// version 2 (go.etcd.io/bbolt, internal/common).
package boltpages

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Fault is what is wrong with a page.
type Fault struct {
	Page   uint64
	Bucket string // name of the bucket whose page it is, names of nested ones with "/" between; "" for the root
	Text   string
	// Recoverable says that bbolt goes on with the other meta page, the state before the newest commit.
	Recoverable bool
}

func (f Fault) String() string {
	if f.Bucket == "" {
		return fmt.Sprintf("page %d: %s", f.Page, f.Text)
	}
	return fmt.Sprintf("page %d, of bucket %q: %s", f.Page, f.Bucket, f.Text)
}

// maxFaults bounds what one check reports.
const maxFaults = 100

// Kinds of page.
const (
	branchPage = 0x01
	leafPage   = 0x02
	metaPage   = 0x04
	listPage   = 0x10
)

const (
	pageHeader   = 16 // id (8), kind (2), elements (2), further pages (4)
	element      = 16
	bucketHeader = 16 // root page (8), sequence (8)
	maxDepth     = 64
	maxPageBytes = 256 << 20 // of a page with those it goes on in: more than any record of ours
	noList       = ^uint64(0)
)

var le = binary.LittleEndian

// ErrMoved says that the file is no longer in the state that was asked for.
var ErrMoved = errors.New("the file has changed meanwhile")

// Check reads every page that can be reached and gives the faults, none where bbolt can use the file. A
// file of size bytes whose two meta pages both make no sense is one fault of page 0. txid is the state
// that is meant, for a file in use: that of a read transaction, which keeps the pages as they are; 0 is
// the newest. The error is ErrMoved, or one of reading.
func Check(r io.ReaderAt, size int64, txid uint64) (*Checked, error) {
	m, faults, err := newestMeta(r, size)
	if err != nil || m == nil {
		return &Checked{Faults: faults}, err
	}
	if txid != 0 && m.txid != txid {
		return &Checked{}, ErrMoved
	}
	if have := uint64(size) / uint64(m.pageSize); m.pages > have { // the product of a damaged page may not fit 64 bits
		cut := &checker{faults: faults}
		cut.fault(have, "", "the file ends here, at %d bytes; it had %d pages of %d bytes: it was cut short", size, m.pages, m.pageSize)
		return &Checked{Faults: cut.faults}, nil
	}
	c := &checker{r: r, size: size, meta: *m, faults: slices.Clone(faults)}
	c.all(runtime.GOMAXPROCS(0))
	if c.err != nil || len(c.faults) > len(faults) {
		// Once more by one alone, which finds the faults in an order.
		c = &checker{r: r, size: size, meta: *m, faults: faults}
		c.all(1)
	}
	return &Checked{c.faults, m, c.seen}, c.err
}

// Checked is a file whose pages were read.
type Checked struct {
	Faults []Fault
	meta   *meta
	seen   []atomic.Uint64
}

// all checks the pages level by level, each level in the order in which its pages lie in the file: a tree that grew at
// random places would else be read back and forth.
func (c *checker) all(readers int) {
	c.seen = make([]atomic.Uint64, c.meta.pages/64+1)
	first := &reader{checker: c}
	first.mark(0, "")
	first.mark(1, "")
	if c.meta.list != noList {
		first.list(c.meta.list)
	}
	for level := []node{{id: c.meta.root}}; len(level) > 0 && !c.done(); {
		slices.SortFunc(level, func(a, b node) int { return cmp.Compare(a.id, b.id) })
		all := make([]*reader, min(readers, len(level)/leastNodes+1))
		each := (len(level) + len(all) - 1) / len(all)
		var wg sync.WaitGroup
		for i := range all {
			all[i] = &reader{checker: c}
			wg.Go(func() {
				mine := level[min(i*each, len(level)):min((i+1)*each, len(level))]
				for j := 0; j < len(mine) && !c.done(); j++ {
					all[i].ahead = mine[j:]
					all[i].check(mine[j])
				}
			})
		}
		wg.Wait()
		level = nil
		for _, r := range all {
			level = append(level, r.below...)
		}
	}
}

// leastNodes is how many pages are worth a reader of their own.
const leastNodes = 512

// node is a page to check: its keys must be at least low and below high, where those are not nil.
type node struct {
	id        uint64
	bucket    string
	low, high []byte
	depth     int
}

// checker is what all readers of a file share.
type checker struct {
	r    io.ReaderAt
	size int64
	meta meta
	seen []atomic.Uint64 // a bit each page

	mu     sync.Mutex
	faults []Fault
	err    error
	ended  atomic.Bool
}

// reader checks pages one after the other.
type reader struct {
	*checker
	below []node // what the pages lead to

	ahead  []node // the page that is checked and those after it
	window []byte // what was read last
	at     int64  // of the window in the file
}

// Pages that lie together are read at once, up to so many bytes; fewer than gapBytes between two are read too.
const (
	windowBytes = 256 << 10
	gapBytes    = 32 << 10
)

func (c *checker) fault(page uint64, bucket, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.faults) < maxFaults {
		c.faults = append(c.faults, Fault{Page: page, Bucket: bucket, Text: fmt.Sprintf(format, args...)})
	}
	if len(c.faults) >= maxFaults {
		c.ended.Store(true)
	}
}

func (c *checker) failed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	c.ended.Store(true)
}

func (c *checker) done() bool { return c.ended.Load() }

// mark notes that a page is in use; false where it was already.
func (c *checker) mark(page uint64, bucket string) bool {
	word, bit := page/64, uint64(1)<<(page%64)
	if c.seen[word].Or(bit)&bit != 0 {
		c.fault(page, bucket, "it is used twice")
		return false
	}
	return true
}

// page reads a page with those it goes on in; nil where it is none.
func (c *reader) page(id uint64, bucket string) []byte {
	if id < 2 || id >= c.meta.pages {
		c.fault(id, bucket, "it is referred to, and the pages are 2 to %d", c.meta.pages-1)
		return nil
	}
	head := c.read(id, 1)
	if head == nil {
		return nil
	}
	if got := le.Uint64(head); got != id {
		c.fault(id, bucket, "its header says that it is page %d", got)
		return nil
	}
	more := uint64(le.Uint32(head[12:]))
	if more >= c.meta.pages-id || more*uint64(c.meta.pageSize) > maxPageBytes {
		c.fault(id, bucket, "it goes on for %d pages; %d is the last", more, c.meta.pages-1)
		return nil
	}
	for i := range more + 1 {
		if !c.mark(id+i, bucket) {
			return nil
		}
	}
	if more == 0 {
		return head
	}
	return c.read(id, more+1)
}

// read gives pages, which stay as they are until the next are read.
func (c *reader) read(id, pages uint64) []byte {
	at, n := int64(id)*int64(c.meta.pageSize), int64(pages)*int64(c.meta.pageSize)
	if at < c.at || at+n > c.at+int64(len(c.window)) {
		want := n
		for _, next := range c.ahead {
			end := (int64(next.id) + 1 - int64(id)) * int64(c.meta.pageSize)
			if end > windowBytes || end > want+gapBytes {
				break
			}
			want = max(want, end)
		}
		want = min(want, c.size-at)
		if int64(cap(c.window)) < want {
			c.window = make([]byte, want)
		}
		c.window, c.at = c.window[:want], at
		if _, err := c.r.ReadAt(c.window, at); err != nil {
			// What cannot be read may be a page beside this one that nothing needs.
			c.window = c.window[:n]
			if _, err := c.r.ReadAt(c.window, at); err != nil {
				c.window = nil
				c.failed(fmt.Errorf("read page %d: %w", id, err))
				return nil
			}
		}
	}
	return c.window[at-c.at:][:n:n]
}

// list checks the page of free pages.
func (c *reader) list(id uint64) {
	b := c.page(id, "")
	if b == nil {
		return
	}
	if kind := le.Uint16(b[8:]); kind != listPage {
		c.fault(id, "", "it should list the free pages, and its kind is 0x%02x", kind)
		return
	}
	n, at := uint64(le.Uint16(b[10:])), uint64(pageHeader)
	if n == 0xffff {
		n, at = le.Uint64(b[pageHeader:]), at+8
	}
	if n > (uint64(len(b))-at)/8 {
		c.fault(id, "", "it lists %d free pages and has no room for them", n)
		return
	}
	for i := range n {
		if free := le.Uint64(b[at+8*i:]); free < 2 || free >= c.meta.pages {
			c.fault(id, "", "it lists page %d as free, and the pages are 2 to %d", free, c.meta.pages-1)
			return
		}
	}
}

// check checks a page and notes what it leads to.
func (c *reader) check(n node) {
	b := c.page(n.id, n.bucket)
	if b == nil {
		return
	}
	if le.Uint16(b[8:]) == branchPage {
		b = bytes.Clone(b) // its keys bound those of the pages below
	}
	c.elements(n.id, b, n.bucket, n.low, n.high, n.depth)
}

// elements checks the elements of a page, or of a small bucket that lies inside one.
func (c *reader) elements(id uint64, b []byte, bucket string, low, high []byte, depth int) {
	if depth > maxDepth { // small buckets, too, may lie in one another
		c.fault(id, bucket, "it lies %d levels deep", depth)
		return
	}
	kind, n := le.Uint16(b[8:]), int(le.Uint16(b[10:]))
	if kind != branchPage && kind != leafPage {
		c.fault(id, bucket, "it should hold keys, and its kind is 0x%02x", kind)
		return
	}
	if n*element > len(b)-pageHeader {
		c.fault(id, bucket, "it says that it has %d elements and has no room for them", n)
		return
	}
	if kind == branchPage && n == 0 {
		c.fault(id, bucket, "it leads to no other page")
		return
	}
	var last []byte
	for i := range n {
		at := pageHeader + i*element
		e := b[at : at+element]
		pos, klen, vlen := uint64(le.Uint32(e)), uint64(le.Uint32(e[4:])), uint64(0)
		if kind == leafPage {
			pos, klen, vlen = uint64(le.Uint32(e[4:])), uint64(le.Uint32(e[8:])), uint64(le.Uint32(e[12:]))
			if flags := le.Uint32(e); flags > 1 {
				c.fault(id, bucket, "element %d has flags 0x%x", i, flags)
				return
			}
		}
		start := uint64(at) + pos
		if pos < uint64(n-i)*element || start+klen+vlen > uint64(len(b)) {
			c.fault(id, bucket, "element %d lies outside of it", i)
			return
		}
		k := b[start : start+klen]
		switch {
		case klen == 0:
			c.fault(id, bucket, "element %d has no key", i)
			return
		case i > 0 && bytes.Compare(last, k) >= 0:
			c.fault(id, bucket, "its keys are out of order at element %d", i)
			return
		case low != nil && bytes.Compare(k, low) < 0, high != nil && bytes.Compare(k, high) >= 0:
			c.fault(id, bucket, "element %d belongs to another page", i)
			return
		}
		last = k
	}
	// All lie within the page.
	branch := func(i int) (to uint64, k []byte) {
		at := pageHeader + i*element
		e := b[at:]
		k = e[le.Uint32(e):]
		return le.Uint64(e[8:]), k[:le.Uint32(e[4:])]
	}
	for i := range n {
		e := b[pageHeader+i*element:]
		switch {
		case kind == branchPage:
			to, k := branch(i)
			next := high
			if i+1 < n {
				_, next = branch(i + 1)
			}
			c.below = append(c.below, node{to, bucket, k, next, depth + 1})
		case le.Uint32(e) == 1:
			k := e[le.Uint32(e[4:]):]
			klen := le.Uint32(e[8:])
			c.nested(id, bucket, i, k[:klen], k[klen:][:le.Uint32(e[12:])], depth)
		}
	}
}

// nested checks a bucket that is an element of a page: on pages of its own, or inside the element.
func (c *reader) nested(id uint64, bucket string, i int, name, v []byte, depth int) {
	if len(v) < bucketHeader {
		c.fault(id, bucket, "the bucket of element %d has a record of %d bytes", i, len(v))
		return
	}
	full := printable(name)
	if bucket != "" {
		full = bucket + "/" + full
	}
	if root := le.Uint64(v); root != 0 {
		c.below = append(c.below, node{root, full, nil, nil, depth + 1})
		return
	}
	if len(v) < bucketHeader+pageHeader {
		c.fault(id, full, "it lies inside page %d in %d bytes", id, len(v))
		return
	}
	if kind := le.Uint16(v[bucketHeader+8:]); kind != leafPage {
		c.fault(id, full, "it lies inside page %d and its kind is 0x%02x", id, kind)
		return
	}
	c.elements(id, v[bucketHeader:], full, nil, nil, depth+1)
}

// printable is a name as it may be shown: a damaged page holds anything.
func printable(name []byte) string {
	q := fmt.Sprintf("%.40q", name)
	return q[1 : len(q)-1]
}
