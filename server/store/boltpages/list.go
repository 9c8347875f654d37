package boltpages

import (
	"hash/fnv"
	"io"
	"os"
)

// writable is what a list is written to.
type writable interface {
	io.WriterAt
	Sync() error
}

var _ writable = (*os.File)(nil)

// WriteList notes in a file that was checked whole which of its pages are free, as a commit of bbolt that keeps its list
// does, so that opening it need not walk through every bucket again to find them. It does nothing where the newest state
// has a list, or where a meta page is damaged. Cut short anywhere, the file is in the state before or after. most bounds
// the file's bytes; 0 does not.
func (c *Checked) WriteList(f writable, most int64) error {
	if !c.Whole() || c.meta.list != noList {
		return nil
	}
	m, free := *c.meta, c.free()
	size := uint64(m.pageSize)
	need := (pageHeader + 8*uint64(len(free)+1) + size - 1) / size
	at := -1
	for i := range free {
		if j := i + int(need) - 1; j < len(free) && free[j] == free[i]+need-1 {
			at = i
			break
		}
	}
	if at >= 0 {
		m.list = free[at]
		free = append(free[:at:at], free[at+int(need):]...)
	} else {
		m.list, m.pages = m.pages, m.pages+need
	}
	if most > 0 && m.pages*size > uint64(most) {
		return nil
	}
	// The newest state may be in the system's memory alone: until it is durable, the one before it counts, whose pages may be
	// among the free ones.
	if err := f.Sync(); err != nil {
		return err
	}
	b := make([]byte, 0, need*size)
	b = pageHead(b, m.list, listPage, min(len(free), 0xffff), need-1)
	if len(free) >= 0xffff {
		b = le.AppendUint64(b, uint64(len(free)))
	}
	for _, id := range free {
		b = le.AppendUint64(b, id)
	}
	if _, err := f.WriteAt(b[:need*size], int64(m.list*size)); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	m.txid++
	if _, err := f.WriteAt(m.page(), int64(m.txid%2*size)); err != nil {
		return err
	}
	return f.Sync()
}

// Whole says that nothing is wrong with the file.
func (c *Checked) Whole() bool { return c.meta != nil && len(c.Faults) == 0 }

// Pages is how many pages the file has, free ones included.
func (c *Checked) Pages() uint64 {
	if c.meta == nil {
		return 0
	}
	return c.meta.pages
}

// free are the pages that nothing refers to, in order.
func (c *Checked) free() (out []uint64) {
	for id := uint64(2); id < c.meta.pages; id++ {
		if c.seen[id/64].Load()&(1<<(id%64)) == 0 {
			out = append(out, id)
		}
	}
	return out
}

func pageHead(b []byte, id uint64, kind uint16, elements int, more uint64) []byte {
	b = le.AppendUint64(b, id)
	b = le.AppendUint16(b, kind)
	b = le.AppendUint16(b, uint16(elements))
	return le.AppendUint32(b, uint32(more))
}

// page is the meta page of m.
func (m *meta) page() []byte {
	b := pageHead(nil, m.txid%2, metaPage, 0, 0)
	from := len(b)
	b = le.AppendUint32(b, magic)
	b = le.AppendUint32(b, version)
	b = le.AppendUint32(b, m.pageSize)
	b = le.AppendUint32(b, 0)
	for _, v := range []uint64{m.root, m.sequence, m.list, m.pages, m.txid} {
		b = le.AppendUint64(b, v)
	}
	sum := fnv.New64a()
	sum.Write(b[from:])
	return le.AppendUint64(b, sum.Sum64())
}
