package boltpages

import (
	"errors"
	"hash/fnv"
	"io"
	"maps"
	"slices"
)

const small = 1024 // bytes of a page of most images here

// image is a bbolt file, page by page.
type image struct {
	pageSize int64
	parts    map[int64][]byte // by offset; between them the file holds zeros
	size     int64
	broken   int64 // reading here fails, with -1 at the beginning; 0: nowhere
	longest  int   // so much and more is not read at once; 0: all is
}

var errDisk = errors.New("input/output error")

func (m *image) ReadAt(b []byte, at int64) (int, error) {
	if m.broken > 0 && m.broken >= at && m.broken < at+int64(len(b)) || m.broken < 0 && at == 0 || m.longest > 0 && len(b) >= m.longest {
		return 0, errDisk
	}
	clear(b)
	for _, off := range slices.Sorted(maps.Keys(m.parts)) { // a part that is too long does not reach into the next
		part := m.parts[off]
		if off >= at && off < at+int64(len(b)) {
			copy(b[off-at:], part)
		}
	}
	if end := at + int64(len(b)); end > m.size {
		return int(max(0, m.size-at)), io.EOF
	}
	return len(b), nil
}

// header is a page's.
func header(id uint64, kind, count uint16, more uint32) []byte {
	b := le.AppendUint64(nil, id)
	b = le.AppendUint16(b, kind)
	b = le.AppendUint16(b, count)
	return le.AppendUint32(b, more)
}

// metaImage is page id, which says what m does.
func metaImage(id uint64, m meta) []byte {
	b := le.AppendUint32(nil, magic)
	b = le.AppendUint32(b, version)
	b = le.AppendUint32(b, m.pageSize)
	b = le.AppendUint32(b, 0)
	for _, v := range []uint64{m.root, 0, m.list, m.pages, m.txid} {
		b = le.AppendUint64(b, v)
	}
	return append(header(id, 4, 0, 0), sealed(b)...)
}

// sealed ends a meta page's record with its checksum.
func sealed(b []byte) []byte {
	sum := fnv.New64a()
	sum.Write(b)
	return le.AppendUint64(b, sum.Sum64())
}

// entry is an element: of a leaf a key with its value, of a branch a key with a page.
type entry struct {
	key, value string
	flags      uint32
	page       uint64
}

// keys is a page of entries, its data laid out end to end behind them.
func keys(id uint64, kind uint16, more uint32, entries ...entry) []byte {
	b, data := header(id, kind, uint16(len(entries)), more), []byte(nil)
	for i, e := range entries {
		pos := uint32((len(entries)-i)*element + len(data))
		if kind == leafPage {
			for _, v := range []uint32{e.flags, pos, uint32(len(e.key)), uint32(len(e.value))} {
				b = le.AppendUint32(b, v)
			}
		} else {
			b = le.AppendUint32(b, pos)
			b = le.AppendUint32(b, uint32(len(e.key)))
			b = le.AppendUint64(b, e.page)
		}
		data = append(append(data, e.key...), e.value...)
	}
	return append(b, data...)
}

// onPages is the record of a bucket on pages of its own, inside that of one that lies in its element.
func onPages(root uint64) string { return string(le.AppendUint64(le.AppendUint64(nil, root), 0)) }
func inside(entries ...entry) string {
	return onPages(0) + string(keys(0, leafPage, 0, entries...))
}

// whole is an image of ten pages with everything that there is.
func whole() *image {
	m := &image{pageSize: small, parts: map[int64][]byte{}, size: 10 * small}
	m.metas(meta{root: 3, list: 2, pages: 10})
	m.put(2, append(header(2, listPage, 1, 0), le.AppendUint64(nil, 9)...))
	m.put(3, keys(3, leafPage, 0,
		entry{"a", inside(entry{"x", "1", 0, 0}, entry{"y", inside(entry{"z", "2", 0, 0}), 1, 0}), 1, 0},
		entry{"b", onPages(4), 1, 0}, entry{"c", inside(), 1, 0}, entry{"d", "plain", 0, 0}))
	m.put(4, keys(4, branchPage, 0, entry{"k", "", 0, 5}, entry{"m", "", 0, 6}))
	m.put(5, keys(5, leafPage, 0, entry{"k", "1", 0, 0}, entry{"l", "2", 0, 0}))
	m.put(6, keys(6, leafPage, 0, entry{"m", onPages(7), 1, 0}))
	m.put(7, keys(7, leafPage, 1, entry{"long", string(make([]byte, 2*small-16-16-4)), 0, 0})) // to the last byte of page 8
	return m
}

func (m *image) put(page uint64, b []byte) { m.parts[int64(page)*m.pageSize] = b }
func (m *image) page(page uint64) []byte   { return m.parts[int64(page)*m.pageSize] }

// metas writes both meta pages; the second is a transaction newer, and the first says that page 99 is the root.
func (m *image) metas(v meta) {
	v.pageSize = uint32(m.pageSize)
	old := v
	v.txid, old.txid, old.root = 7, 6, 99
	m.put(0, metaImage(0, old))
	m.put(1, metaImage(1, v))
}
