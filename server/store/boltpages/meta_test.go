package boltpages

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

func TestTheMetaPageThatCountsIsFound(t *testing.T) {
	// record changes the record of a meta page, and its checksum where it is to be right.
	record := func(page uint64, at int, b byte, right bool) func(m *image) {
		return func(m *image) {
			r := m.page(page)[pageHeader:]
			r[at] = b
			if right {
				copy(r, sealed(slices.Clone(r[:metaSize-8])))
			}
		}
	}
	says := func(change func(v *meta)) func(m *image) {
		return func(m *image) {
			v := meta{pageSize: uint32(m.pageSize), root: 3, list: 2, pages: 10, txid: 7}
			change(&v)
			m.put(1, metaImage(1, v))
		}
	}
	const used = "; the state of the other meta page is used, and the newest commit may be missing"
	tests := []struct {
		name   string
		change func(m *image)
		want   []string
	}{
		{"the newer is the first", func(m *image) {
			first, second := m.page(0), m.page(1)
			m.put(0, second)
			m.put(1, first)
		}, nil},
		{"of two of one state bbolt uses the first", says(func(v *meta) { v.txid, v.root = 6, 3 }), []string{"page 99: it is referred to, and the pages are 2 to 9"}},
		{"the second has a wrong checksum", record(1, 60, 1, false), []string{"page 1: the checksum of this meta page is wrong" + used, "page 99: it is referred to, and the pages are 2 to 9"}},
		{"the second is none", record(1, 0, 1, false), []string{"page 1: it is no meta page of a bbolt file" + used, "page 99: it is referred to, and the pages are 2 to 9"}},
		{"the first is of another format", record(0, 4, 3, true), []string{"page 0: it is of bbolt's file format 3, not 2" + used}},
		{"both are damaged", func(m *image) { record(0, 60, 1, false)(m); record(1, 60, 1, false)(m) }, []string{"page 0: the checksum of this meta page is wrong, and so is the second meta page"}},
		{"pages of less than a kilobyte", says(func(v *meta) { v.pageSize = 512 }), []string{"page 1: it says that pages have 512 bytes" + used, "page 99: it is referred to, and the pages are 2 to 9"}},
		{"pages of more than 16 MiB", says(func(v *meta) { v.pageSize = 2 * maxPageSize }), []string{"page 1: it says that pages have 33554432 bytes" + used, "page 99: it is referred to, and the pages are 2 to 9"}},
		{"pages of no power of two", says(func(v *meta) { v.pageSize = 3 << 10 }), []string{"page 1: it says that pages have 3072 bytes" + used, "page 99: it is referred to, and the pages are 2 to 9"}},
		{"two pages", says(func(v *meta) { v.pages = 2 }), []string{"page 1: it says that there are 2 pages" + used, "page 99: it is referred to, and the pages are 2 to 9"}},
		{"more pages than any file has", says(func(v *meta) { v.pages = 1<<40 + 1 }), []string{"page 1: it says that there are 1099511627777 pages" + used, "page 99: it is referred to, and the pages are 2 to 9"}},
		{"as many pages as a file may have", says(func(v *meta) { v.pages = 1 << 40 }), []string{"page 10: the file ends here, at 10240 bytes; it had 1099511627776 pages of 1024 bytes: it was cut short"}},
		{"the first is damaged and holds a copy of the second", func(m *image) {
			record(0, 60, 1, false)(m)
			larger := &image{pageSize: 2 * small, parts: map[int64][]byte{0: m.page(0)}, size: 4 * 2 * small}
			v := meta{pageSize: 2 * small, root: 2, list: noList, pages: 4, txid: 7}
			larger.put(1, metaImage(1, v))
			larger.put(2, keys(2, leafPage, 0))
			v.root = 98
			larger.parts[small] = metaImage(1, v) // where a second would stand, were the pages half as large
			*m = *larger
		}, []string{"page 0: the checksum of this meta page is wrong" + used}},
		{"no byte", func(m *image) { m.size = 0 }, []string{"page 0: the file is too short for a meta page, and so is the second meta page"}},
		{"a byte less than a meta page", func(m *image) { m.size = pageHeader + metaSize - 1 }, []string{"page 0: the file is too short for a meta page, and so is the second meta page"}},
		{"a meta page alone", func(m *image) { m.size = pageHeader + metaSize }, []string{"page 1: the file is too short for a meta page" + used, "page 0: the file ends here, at 80 bytes; it had 10 pages of 1024 bytes: it was cut short"}},
		{"a meta page and a little", func(m *image) { m.size = small + 6 }, []string{"page 1: the file is too short for a meta page" + used, "page 1: the file ends here, at 1030 bytes; it had 10 pages of 1024 bytes: it was cut short"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := whole()
			tt.change(m)
			if got := check(t, m); !slices.Equal(got, tt.want) {
				t.Errorf("faults %q, want %q", got, tt.want)
			}
			faults, err := faultsOf(m, m.size, 0)
			for i, f := range faults {
				if want := i == 0 && len(f.Text) > len(used) && f.Text[len(f.Text)-len(used):] == used; f.Recoverable != want {
					t.Errorf("%v: recoverable %v, %v", f, f.Recoverable, err)
				}
			}
		})
	}
}

func TestPagesMayBeSmallAndLargeAndAFileOfThreeIsOne(t *testing.T) {
	for _, size := range []int64{minPageSize, 4096, maxPageSize} {
		for _, damaged := range []bool{false, true} {
			m := &image{pageSize: size, parts: map[int64][]byte{}, size: 3 * size}
			m.metas(meta{root: 2, list: noList, pages: 3})
			m.put(2, keys(2, leafPage, 0))
			want := "[]"
			if damaged {
				m.page(0)[pageHeader]++
				want = "[page 0: it is no meta page of a bbolt file; the state of the other meta page is used, and the newest commit may be missing]"
			}
			if got := fmt.Sprint(check(t, m)); got != want {
				t.Errorf("pages of %d bytes: %s, want %s", size, got, want)
			}
		}
	}
	// A count of pages whose bytes do not fit 64 bits is no file of none.
	m := &image{pageSize: maxPageSize, parts: map[int64][]byte{}, size: 3 * maxPageSize}
	m.metas(meta{root: 2, list: noList, pages: 1 << 40})
	if got, want := fmt.Sprint(check(t, m)), "[page 3: the file ends here, at 50331648 bytes; it had 1099511627776 pages of 16777216 bytes: it was cut short]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestAPageThatGoesOnBeyondAllRecordsIsNotRead(t *testing.T) {
	m := &image{pageSize: maxPageSize, parts: map[int64][]byte{}, size: 40 * maxPageSize}
	m.metas(meta{root: 2, list: noList, pages: 40})
	m.put(2, keys(2, leafPage, 17))
	if got, want := fmt.Sprint(check(t, m)), "[page 2: it goes on for 17 pages; 39 is the last]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	m.put(2, keys(2, leafPage, 16))
	m.longest = maxPageBytes
	if _, err := faultsOf(m, m.size, 0); !errors.Is(err, errDisk) {
		t.Errorf("one that goes on for so much is not read: %v", err)
	}
}
