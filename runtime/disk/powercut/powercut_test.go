package powercut

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/runtime/disk"
)

// write makes or replaces a file in place.
func writeFile(path, text string, sync bool) error {
	f, err := disk.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	for _, half := range []string{text[:len(text)/2], text[len(text)/2:]} {
		if _, err := f.Write([]byte(half)); err != nil {
			return err
		}
	}
	if sync {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	return f.Close()
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// contents is a folder as "name=content" of its files and "name -> target" of its links, sorted.
func contents(dir string) string {
	var out []string
	filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		rel = filepath.ToSlash(rel)
		switch target, linkErr := os.Readlink(path); {
		case linkErr == nil:
			out = append(out, rel+" -> "+target)
		case e.IsDir():
			out = append(out, rel+"/")
		default:
			b, _ := os.ReadFile(path)
			out = append(out, fmt.Sprintf("%s=%s", rel, strings.ReplaceAll(string(b), "\x00", "0")))
		}
		return nil
	})
	return strings.Join(out, " ")
}

func TestACutLeavesWhatWasSynced(t *testing.T) {
	tests := map[string]struct {
		do   func(dir string) error
		want []string // every state after the last operation
	}{
		"a file synced in a folder synced is there": {
			do: func(d string) error { return first(writeFile(d+"/new", "1234", true), disk.SyncDir(d)) }, want: []string{"a=old new=1234"},
		},
		"a file's sync keeps its content and not its name": {
			do: func(d string) error { return writeFile(d+"/new", "1234", true) }, want: []string{"a=old", "a=old new=1234"},
		},
		"a folder's sync keeps the name and not the content": {
			do:   func(d string) error { return first(writeFile(d+"/new", "1234", false), disk.SyncDir(d)) },
			want: []string{"a=old new=", "a=old new=0000", "a=old new=12", "a=old new=0034", "a=old new=1234"},
		},
		"a file written over keeps the old content, the new or a part": {
			do:   func(d string) error { return writeFile(d+"/a", "1234", false) },
			want: []string{"a=", "a=0000", "a=ol34", "a=12", "a=1234", "a=old"},
		},
		"renames in one folder are there or not, one by one": {
			do:   func(d string) error { return first(disk.Rename(d+"/a", d+"/b"), disk.Symlink("b", d+"/c")) },
			want: []string{"a=old", "b=old", "a=old c -> b", "b=old c -> b"},
		},
		"a rename between folders may leave both names or none, until the folders are synced": {
			do: func(d string) error {
				return first(disk.Mkdir(d+"/s", 0o755), disk.SyncDir(d), disk.Rename(d+"/a", d+"/s/a"))
			},
			want: []string{"a=old s/", "a=old s/ s/a=old", "s/", "s/ s/a=old"},
		},
		"a rename between folders whose target is synced keeps the file": {
			do: func(d string) error {
				return first(disk.Mkdir(d+"/s", 0o755), disk.SyncDir(d), disk.Rename(d+"/a", d+"/s/a"), disk.SyncDir(d+"/s"))
			},
			want: []string{"a=old s/ s/a=old", "s/ s/a=old"},
		},
		"a folder that its parent does not hold yet takes what is in it along": {
			do: func(d string) error {
				return first(disk.Mkdir(d+"/s", 0o755), writeFile(d+"/s/f", "1", true), disk.SyncDir(d+"/s"))
			},
			want: []string{"a=old", "a=old s/ s/f=1"},
		},
		"MkdirAll's folders are there": {
			do: func(d string) error { return disk.MkdirAll(d+"/s/t", 0o755) }, want: []string{"a=old s/ s/t/"},
		},
		"an exchange is there or not": {
			do: func(d string) error {
				return first(writeFile(d+"/b", "new", true), disk.SyncDir(d), disk.Exchange(d+"/a", d+"/b"))
			},
			want: []string{"a=old b=new", "a=new b=old"},
		},
		"a removed file may be back": {
			do: func(d string) error { return disk.RemoveAll(d + "/a") }, want: []string{"", "a=old"},
		},
		"a truncated file may be as it was": {
			do: func(d string) error {
				f, err := disk.OpenFile(d+"/a", os.O_RDWR, 0)
				return first(err, f.Truncate(1), f.Close())
			},
			want: []string{"a=o", "a=old"},
		},
		"a file made longer has zeros there or is as it was": {
			do: func(d string) error {
				f, err := disk.OpenFile(d+"/a", os.O_RDWR, 0)
				return first(err, f.Truncate(5), f.Close())
			},
			want: []string{"a=old00", "a=old"},
		},
		"a link is one more name": {
			do: func(d string) error { return disk.Link(d+"/a", d+"/b") }, want: []string{"a=old", "a=old b=old"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(dir+"/a", []byte("old"), 0o644); err != nil {
				t.Fatal(err)
			}
			rec := Record(t, dir)
			if err := tt.do(dir); errors.Is(err, errors.ErrUnsupported) {
				t.Skip(err)
			} else if err != nil {
				t.Fatal(err)
			}
			rec.Mark("done")
			got := map[string]bool{}
			rec.Check(t, func(cut Cut) error {
				if cut.Marked("done") {
					got[contents(cut.Dir)] = true
				}
				return nil
			})
			for _, w := range tt.want {
				if !got[w] {
					t.Errorf("no cut leaves %q", w)
				}
				delete(got, w)
			}
			for g := range got {
				t.Errorf("a cut leaves %q", g)
			}
		})
	}
}

func TestABrokenPromiseIsFoundAndShown(t *testing.T) {
	dir := t.TempDir()
	rec := Record(t, dir)
	if err := writeFile(dir+"/f", "text", true); err != nil {
		t.Fatal(err)
	}
	rec.Mark("saved")
	broken := rec.Broken(t, func(cut Cut) error {
		if _, err := os.Stat(cut.Dir + "/f"); err != nil && cut.Marked("saved") {
			return errors.New("lost")
		}
		return nil
	})
	if len(broken) != 1 || !strings.Contains(broken[0].Error(), `marked "saved": lost`) || !strings.Contains(broken[0].Error(), "sync "+dir+"/f") ||
		!strings.HasSuffix(broken[0].Error(), "left as:\n  (nothing)") {
		t.Errorf("broken promises: %v", broken)
	}
}

func TestWhatGoesBeforeAnOperationMayMakeItFail(t *testing.T) {
	dir := t.TempDir()
	failed := errors.New("input/output error")
	rec := Record(t, dir, func(op disk.Op) error {
		if op.Kind == disk.OpSync {
			return failed
		}
		return nil
	})
	if err := writeFile(dir+"/f", "text", true); !errors.Is(err, failed) {
		t.Errorf("the writer was told %v", err)
	}
	var kinds []disk.Kind
	for _, op := range rec.Ops() {
		kinds = append(kinds, op.Kind)
	}
	if want := []disk.Kind{disk.OpOpen, disk.OpWrite, disk.OpWrite}; !slices.Equal(kinds, want) {
		t.Errorf("recorded %v, want %v: what was not done is not recorded", kinds, want)
	}
}

func TestManyPendingChangesAreSampled(t *testing.T) {
	for n, want := range map[int]int{0: 1, 3: 8, 7: 128, 8: 3*9 + 64} {
		if got := len(subsets(n)); got != want {
			t.Errorf("%d changes give %d subsets, want %d", n, got, want)
		}
	}
	const n = 8
	sampled := map[string]bool{}
	for _, s := range subsets(n) {
		sampled[fmt.Sprint(s)] = true
	}
	for k := range n + 1 {
		prefix, alone, others := make([]bool, n), make([]bool, n), make([]bool, n)
		for i := range n {
			prefix[i], alone[i], others[i] = i < k, i == k, i != k
		}
		for what, s := range map[string][]bool{"the first": prefix, "alone": alone, "all but": others} {
			if !sampled[fmt.Sprint(s)] {
				t.Errorf("%s %d of %d changes: not tried", what, k, n)
			}
		}
	}
}
