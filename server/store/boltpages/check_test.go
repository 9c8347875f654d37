package boltpages

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

func faultsOf(r io.ReaderAt, size int64, txid uint64) ([]Fault, error) {
	c, err := Check(r, size, txid)
	if c == nil {
		return nil, err
	}
	return c.Faults, err
}

// check gives the faults as text.
func check(t *testing.T, m *image) []string {
	t.Helper()
	faults, err := faultsOf(m, m.size, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range faults {
		out = append(out, f.String())
	}
	return out
}

func TestEveryFaultOfAPageIsFoundAndNothingElse(t *testing.T) {
	leaf := func(page uint64, entries ...entry) func(m *image) {
		return func(m *image) { m.put(page, keys(page, leafPage, 0, entries...)) }
	}
	list := func(n uint16, more ...uint64) func(m *image) {
		return func(m *image) {
			b := header(2, listPage, n, 0)
			for _, v := range more {
				b = le.AppendUint64(b, v)
			}
			m.put(2, b)
		}
	}
	// set changes bytes of a page.
	set := func(page uint64, at int, b ...byte) func(m *image) {
		return func(m *image) { copy(m.page(page)[at:], b) }
	}
	full := strings.Repeat("v", small-pageHeader-element-1)
	tests := []struct {
		name   string
		change func(m *image)
		want   []string
	}{
		{"a whole file", func(m *image) {}, nil},
		{"a file without a list of free pages", func(m *image) { m.metas(meta{root: 3, list: noList, pages: 10}) }, nil},
		{"more than its pages", func(m *image) { m.size++ }, nil},
		{"a byte less than its pages", func(m *image) { m.size-- }, []string{"page 9: the file ends here, at 10239 bytes; it had 10 pages of 1024 bytes: it was cut short"}},
		{"the file ends at the second page that the list goes on in", func(m *image) { copy(m.page(7)[12:], []byte{3}) }, []string{`page 7, of bucket "b/m": it goes on for 3 pages; 9 is the last`}},
		{"a page that goes on to the last", func(m *image) { copy(m.page(7)[12:], []byte{2}) }, nil},

		{"a list that is full", list(126, slices.Repeat([]uint64{2, 9}, 63)...), nil},
		{"a list beyond its page", list(127, 9), []string{"page 2: it lists 127 free pages and has no room for them"}},
		{"a long list, with its length in front", list(0xffff, 2, 9, 9), nil},
		{"a long list that is full", list(0xffff, append([]uint64{125}, slices.Repeat([]uint64{9}, 125)...)...), nil},
		{"a long list beyond its page", list(0xffff, 126, 9), []string{"page 2: it lists 126 free pages and has no room for them"}},
		{"a free page below the first", list(2, 9, 1), []string{"page 2: it lists page 1 as free, and the pages are 2 to 9"}},
		{"a free page beyond the last", list(2, 9, 10), []string{"page 2: it lists page 10 as free, and the pages are 2 to 9"}},
		{"a list that is another page", set(2, 8, leafPage), []string{"page 2: it should list the free pages, and its kind is 0x02"}},
		{"a list that is no page", func(m *image) { m.metas(meta{root: 3, list: 10, pages: 10}) }, []string{"page 10: it is referred to, and the pages are 2 to 9"}},

		{"a root that is a meta page", func(m *image) { m.metas(meta{root: 1, list: 2, pages: 10}) }, []string{"page 1: it is referred to, and the pages are 2 to 9"}},
		{"a page with the header of another", set(5, 0, 6), []string{`page 5, of bucket "b": its header says that it is page 6`}},
		{"a page of another kind", set(5, 8, listPage), []string{`page 5, of bucket "b": it should hold keys, and its kind is 0x10`}},
		{"a page twice", set(4, pageHeader+element+8, 5), []string{`page 5, of bucket "b": it is used twice`}},
		{"a page inside another", func(m *image) {
			m.put(6, keys(6, leafPage, 0, entry{"m", onPages(7), 1, 0}, entry{"n", onPages(8), 1, 0}))
			m.parts[8*small] = header(8, leafPage, 0, 0)
		}, []string{`page 8, of bucket "b/n": it is used twice`}},

		{"more elements than there is room for", set(5, 10, 64), []string{`page 5, of bucket "b": it says that it has 64 elements and has no room for them`}},
		{"elements that leave no room for keys", set(5, 10, 63), []string{`page 5, of bucket "b": element 0 lies outside of it`}},
		{"a branch without elements", func(m *image) { m.put(4, keys(4, branchPage, 0)) }, []string{`page 4, of bucket "b": it leads to no other page`}},
		{"a leaf without elements", leaf(3), nil},
		{"an element of a kind that there is not", leaf(5, entry{"k", "", 0, 0}, entry{"l", "", 2, 0}), []string{`page 5, of bucket "b": element 1 has flags 0x2`}},
		{"an element to the last byte", leaf(5, entry{"k", full, 0, 0}), nil},
		{"a value beyond the page", leaf(5, entry{"k", full + "v", 0, 0}), []string{`page 5, of bucket "b": element 0 lies outside of it`}},
		{"a key beyond the page", leaf(5, entry{"k" + full + "k", "", 0, 0}), []string{`page 5, of bucket "b": element 0 lies outside of it`}},
		{"a key among the elements", set(5, pageHeader+4, 2*element-1), []string{`page 5, of bucket "b": element 0 lies outside of it`}},
		{"a key among the elements, of the last", set(5, pageHeader+element+4, element-1), []string{`page 5, of bucket "b": element 1 lies outside of it`}},
		{"an element without a key", leaf(5, entry{"k", "", 0, 0}, entry{"", "v", 0, 0}), []string{`page 5, of bucket "b": element 1 has no key`}},
		{"a key twice", leaf(5, entry{"k", "", 0, 0}, entry{"k", "", 0, 0}), []string{`page 5, of bucket "b": its keys are out of order at element 1`}},
		{"keys out of order", leaf(5, entry{"l", "", 0, 0}, entry{"k", "", 0, 0}), []string{`page 5, of bucket "b": its keys are out of order at element 1`}},
		{"a key below its page's", leaf(5, entry{"j", "", 0, 0}), []string{`page 5, of bucket "b": element 0 belongs to another page`}},
		{"the key of the next page", leaf(5, entry{"k", "", 0, 0}, entry{"m", "", 0, 0}), []string{`page 5, of bucket "b": element 1 belongs to another page`}},
		{"a key above that of the page's own branch", func(m *image) {
			m.put(5, keys(5, branchPage, 0, entry{"k", "", 0, 9}))
			m.put(9, keys(9, leafPage, 0, entry{"k", "", 0, 0}, entry{"n", "", 0, 0}))
		}, []string{`page 9, of bucket "b": element 1 belongs to another page`}},

		{"a bucket without a whole record", leaf(5, entry{"k", onPages(4)[:15], 1, 0}), []string{`page 5, of bucket "b": the bucket of element 0 has a record of 15 bytes`}},
		{"a bucket that is cut off", leaf(5, entry{"k", onPages(0), 1, 0}), []string{`page 5, of bucket "b/k": it lies inside page 5 in 16 bytes`}},
		{"a bucket that is cut off in its header", leaf(5, entry{"k", inside()[:31], 1, 0}), []string{`page 5, of bucket "b/k": it lies inside page 5 in 31 bytes`}},
		{"a branch inside an element", leaf(5, entry{"k", onPages(0) + string(keys(0, branchPage, 0)), 1, 0}), []string{`page 5, of bucket "b/k": it lies inside page 5 and its kind is 0x01`}},
		{"a fault inside an element", leaf(5, entry{"\x00", inside(entry{"", "", 0, 0}), 1, 0}), []string{`page 5, of bucket "b": element 0 belongs to another page`}},
		{"a fault inside an element of the root", leaf(3, entry{"\x00", inside(entry{"", "", 0, 0}), 1, 0}), []string{`page 3, of bucket "\\x00": element 0 has no key`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := whole()
			tt.change(m)
			if got := check(t, m); !slices.Equal(got, tt.want) {
				t.Errorf("faults %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAFileInUseIsCheckedInTheStateThatIsMeant(t *testing.T) {
	m := whole()
	if faults, err := faultsOf(m, m.size, 7); err != nil || len(faults) != 0 {
		t.Errorf("%v, %v", faults, err)
	}
	if _, err := faultsOf(m, m.size, 6); !errors.Is(err, ErrMoved) {
		t.Errorf("another state: %v", err)
	}
}

func TestWhatCannotBeReadIsAnErrorAndNoFault(t *testing.T) {
	for at, want := range map[int64]string{-1: "read the meta page at 0", small: "read the meta page at 1024", 2 * small: "read page 2", 3 * small: "read page 3", 5 * small: "read page 5", 7 * small: "read page 7"} {
		m := whole()
		m.broken = at
		faults, err := faultsOf(m, m.size, 0)
		if !errors.Is(err, errDisk) || !strings.Contains(err.Error(), want) || len(faults) != 0 {
			t.Errorf("reading %d fails: %v, %v", at, faults, err)
		}
	}
}

func TestOfManyFaultsAHundredAreReported(t *testing.T) {
	for _, n := range []int{1, maxFaults - 1, maxFaults, maxFaults + 20} {
		m := &image{pageSize: 4096, parts: map[int64][]byte{}, size: 4 * 4096}
		m.metas(meta{root: 2, list: noList, pages: 4})
		entries := []entry{{"!", "", 0, 3}}
		for i := range n { // which use it again
			entries = append(entries, entry{string(rune('Ā' + i)), "", 0, 3})
		}
		m.put(2, keys(2, branchPage, 0, entries...))
		m.put(3, keys(3, leafPage, 0))
		if got := check(t, m); len(got) != min(n, maxFaults) {
			t.Errorf("%d faults of %d on pages of their own", len(got), n)
		}
		entries = nil
		for i := range n {
			entries = append(entries, entry{string(rune('Ā' + i)), "", 1, 0})
		}
		m.put(2, keys(2, leafPage, 0, entries...))
		if got := check(t, m); len(got) != min(n, maxFaults) {
			t.Errorf("%d faults of %d on one page", len(got), n)
		}
	}
}

func TestHowDeepPagesLieIsBounded(t *testing.T) {
	chain := func(levels int, kind func(level int, page uint64) entry) *image {
		m := &image{pageSize: small, parts: map[int64][]byte{}, size: int64(levels+3) * small}
		m.metas(meta{root: 2, list: noList, pages: uint64(levels + 3)})
		for i := range levels {
			page := uint64(2 + i)
			e := kind(i, page+1)
			k := uint16(branchPage)
			if e.flags == 1 {
				k = leafPage
			}
			m.put(page, keys(page, k, 0, e))
		}
		m.put(uint64(2+levels), keys(uint64(2+levels), leafPage, 0, entry{"k", "", 0, 0}))
		return m
	}
	for name, kind := range map[string]func(level int, page uint64) entry{
		"branches": func(_ int, page uint64) entry { return entry{"k", "", 0, page} },
		"buckets":  func(_ int, page uint64) entry { return entry{"k", onPages(page), 1, 0} },
	} {
		if got := check(t, chain(maxDepth, kind)); len(got) != 0 {
			t.Errorf("%s, %d deep: %q", name, maxDepth, got)
		}
		if got := check(t, chain(maxDepth+1, kind)); len(got) != 1 || !strings.HasSuffix(got[0], fmt.Sprintf("it lies %d levels deep", maxDepth+1)) {
			t.Errorf("%s, %d deep: %q", name, maxDepth+1, got)
		}
	}
	// Buckets inside elements of one page, as bbolt never writes them, would end a process that follows them without a bound.
	for levels, want := range map[int]string{maxDepth: "", maxDepth + 1: "it lies 65 levels deep"} {
		m := &image{pageSize: 1 << 15, parts: map[int64][]byte{}, size: 3 << 15}
		m.metas(meta{root: 2, list: noList, pages: 3})
		value := inside()
		for range levels - 1 {
			value = inside(entry{"k", value, 1, 0})
		}
		m.put(2, keys(2, leafPage, 0, entry{"k", value, 1, 0}))
		if got := strings.Join(check(t, m), ", "); !strings.HasSuffix(got, want) || want == "" && got != "" {
			t.Errorf("%d levels inside a page: %q, want %q", levels, got, want)
		}
	}
}

func TestAPageThatNothingNeedsMayBeUnreadable(t *testing.T) {
	m := whole()
	m.broken = 9 * small
	if faults, err := faultsOf(m, m.size, 0); err != nil || len(faults) != 0 {
		t.Errorf("%v, %v", faults, err)
	}
}
