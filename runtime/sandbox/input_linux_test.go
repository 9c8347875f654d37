package sandbox

import (
	"bytes"
	"os"
	"slices"
	"testing"
)

func TestWholePagesOfATableAreMappedNotCopied(t *testing.T) {
	page := os.Getpagesize()
	in := newSharedInput()
	if in == nil {
		t.Skip("this kernel has no memory to share")
	}
	defer in.close()
	for name, c := range map[string]struct {
		off, at, n int
		mapped     bool
	}{
		"alike in their pages":   {48, page + 48, 5*page + 100, true},
		"on whole pages":         {0, page, 4 * page, true},
		"differing in the page":  {16, page + 48, 5*page + 100, false},
		"shorter than a page":    {48, page + 48, 200, false},
		"without one whole page": {48, page + 48, page + 100, false},
	} {
		t.Run(name, func(t *testing.T) {
			want := bytes.Repeat([]byte("abcdefg"), c.n/7+1)[:c.n]
			copy(in.room(int64(c.off), int64(c.n)), want)
			region := reserve(uint64(16 * page))
			defer release(region)
			if !commit(region, 0, uint64(16*page)) {
				t.Fatal("no memory")
			}
			room := region[c.at : c.at+c.n]
			from, to, err := mapInput(in.file, int64(c.off), room)
			if err != nil || (to > from) != c.mapped {
				t.Fatalf("%d to %d mapped, %v", from, to, err)
			}
			if !bytes.Equal(room, want) || region[c.at-1] != 0 || region[c.at+c.n] != 0 {
				t.Error("the table differs, or more than it was written")
			}
			// Mapped memory sees what the file gets later, until it is written
			// to; and writing to it stays here.
			middle := c.n / 2
			in.room(int64(c.off), int64(c.n))[middle] = '!'
			if (room[middle] == '!') != c.mapped {
				t.Errorf("byte %d is %q, mapped should be %v", middle, room[middle], c.mapped)
			}
			room[middle] = '?'
			if in.room(int64(c.off), int64(c.n))[middle] != '!' {
				t.Error("the module's write reached the host")
			}
			region[0], region[len(region)-1] = 1, 1
			if !wash(region, uint64(c.at+from), uint64(c.at+to)) {
				t.Fatal("the region was not washed")
			}
			if i := slices.IndexFunc(region, func(b byte) bool { return b != 0 }); i >= 0 {
				t.Errorf("byte %d of the washed region is %q", i, region[i])
			}
			room[middle] = '+'
			if in.room(int64(c.off), int64(c.n))[middle] != '!' {
				t.Error("a write after washing reached the host")
			}
		})
	}
}

func TestAWorkerCannotShortenWhatItsHostReads(t *testing.T) {
	in := newSharedInput()
	if in == nil {
		t.Skip("this kernel has no memory to share")
	}
	defer in.close()
	b := in.room(0, 1<<20)
	if err := in.file.Truncate(0); err == nil {
		t.Error("the file was shortened")
	}
	b[1<<20-1] = 1
	// A worker may lengthen it, which moves nothing of the host's.
	if err := in.file.Truncate(8 << 20); err != nil {
		t.Error(err)
	}
	if b = in.room(0, 2<<20); len(b) != 2<<20 || b[1<<20-1] != 1 {
		t.Errorf("%d bytes", len(b))
	}
	in.drop()
	if b[1<<20-1] != 0 {
		t.Error("dropped pages are still there")
	}
}
