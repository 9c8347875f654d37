package disk

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// kinds watches root and returns what was done there so far.
func kinds(t *testing.T, root string) func() []Kind {
	t.Helper()
	var list []Kind
	t.Cleanup(Watch(root, func(op Op, do func() error) error {
		list = append(list, op.Kind)
		return do()
	}))
	return func() []Kind { return list }
}

func TestAWatcherSeesWhatIsDoneBelowItsFolder(t *testing.T) {
	for _, watched := range []bool{false, true} { // the operations do the same unwatched
		dir := t.TempDir()
		got := func() []Kind { return nil }
		if watched {
			got = kinds(t, dir)
		}
		f, err := CreateTemp(dir, ".f.*.tmp")
		if err != nil {
			t.Fatal(err)
		}
		name := f.Name()
		if base := filepath.Base(name); !regexp.MustCompile(`^\.f\.[0-9]+\.tmp$`).MatchString(base) {
			t.Errorf("temporary name %s", base)
		}
		_, err1 := io.Copy(f, bytes.NewReader([]byte("abc")))
		_, err2 := f.WriteAt([]byte("X"), 1)
		_, err3 := f.Write([]byte("d"))
		if err := errors.Join(err1, err2, err3, f.Truncate(3), f.Chmod(0o600), f.Sync(), f.Close()); err != nil {
			t.Fatal(err)
		}
		sub, err := MkdirTemp(dir, "d*")
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(sub, "g")
		err = errors.Join(Rename(name, to), Link(to, name), Symlink("g", filepath.Join(sub, "l")), SyncDir(sub), SyncDir(dir))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(filepath.Join(sub, "l")); err != nil || string(b) != "aXc" {
			t.Errorf("the file holds %q, %v", b, err)
		}
		if err := errors.Join(RemoveAll(sub), RemoveAll(name), RemoveAll(name)); err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
		want := []Kind{OpOpen, OpWrite, OpWrite, OpWrite, OpTruncate, OpChmod, OpSync, OpClose, OpMkdir, OpRename, OpLink, OpSymlink, OpSyncDir, OpSyncDir}
		if list := got(); watched && !slices.Equal(list[:min(len(want), len(list))], want) {
			t.Errorf("seen: %v\nwant: %v", list, want)
		}
	}
}

func TestTheInnermostWatcherIsCalledAlone(t *testing.T) {
	dir := t.TempDir()
	in, beside := filepath.Join(dir, "in"), filepath.Join(dir, "inside") // a name that begins alike is not below
	for _, d := range []string{in, beside} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	outer, inner := kinds(t, dir), kinds(t, in)
	if err := errors.Join(SyncDir(in), Mkdir(filepath.Join(beside, "x"), 0o755)); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(outer(), []Kind{OpMkdir}) || !slices.Equal(inner(), []Kind{OpSyncDir}) {
		t.Errorf("outer %v, inner %v", outer(), inner())
	}
}

func TestAWatcherThatStopsLeavesTheOthers(t *testing.T) {
	dir := t.TempDir()
	var first, second int
	count := func(n *int) Watcher { return func(_ Op, do func() error) error { *n++; return do() } }
	stop := Watch(filepath.Join(dir, "first"), count(&first))
	t.Cleanup(Watch(filepath.Join(dir, "second"), count(&second)))
	stop()
	if err := errors.Join(Mkdir(filepath.Join(dir, "first"), 0o755), Mkdir(filepath.Join(dir, "second"), 0o755)); err != nil {
		t.Fatal(err)
	}
	if first != 0 || second != 1 {
		t.Errorf("the one that stopped saw %d operations, the other %d", first, second)
	}
}

func TestAWatcherSeesPathsFromTheWorkingFolder(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	got := kinds(t, dir)
	if err := Mkdir("a", 0o755); err != nil || !slices.Equal(got(), []Kind{OpMkdir}) {
		t.Errorf("seen: %v, %v", got(), err)
	}
}

func TestFlushingAFolderThatIsMissingFails(t *testing.T) {
	if err := SyncDir(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestAWatchersErrorIsTheOperations(t *testing.T) {
	dir := t.TempDir()
	failed := errors.New("input/output error")
	stop := Watch(dir, func(Op, func() error) error { return failed })
	path := filepath.Join(dir, "f")
	if _, err := OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644); !errors.Is(err, failed) {
		t.Errorf("open: %v", err)
	}
	if err := SyncDir(dir); !errors.Is(err, failed) || !strings.HasPrefix(err.Error(), "flush folder: ") {
		t.Errorf("sync of the folder: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file was made all the same: %v", err)
	}
	stop()
	stop() // twice is once
	if isWatched() {
		t.Error("still watched")
	}
	if err := SyncDir(dir); err != nil {
		t.Error(err)
	}
}

func TestMkdirAllFlushesTheFoldersItMade(t *testing.T) {
	dir := t.TempDir()
	var ops []string
	t.Cleanup(Watch(dir, func(op Op, do func() error) error {
		rel, _ := filepath.Rel(dir, op.Path)
		ops = append(ops, string(op.Kind)+" "+filepath.ToSlash(rel))
		return do()
	}))
	want := []string{"mkdir a", "syncdir .", "mkdir a/b", "syncdir a"}
	for range 2 { // the second call finds them there
		if err := MkdirAll(filepath.Join(dir, "a", "b"), 0o755); err != nil || !slices.Equal(ops, want) {
			t.Fatalf("%v, %v; want %v", err, ops, want)
		}
	}
	file := filepath.Join(dir, "f")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := MkdirAll(filepath.Join(file, "x"), 0o755); err == nil {
		t.Error("a folder in a file was made")
	}
}

func TestAFolderThatAnotherProcessMadeFirstIsTaken(t *testing.T) {
	dir := t.TempDir()
	var synced []string
	t.Cleanup(Watch(dir, func(op Op, do func() error) error {
		switch op.Kind {
		case OpMkdir:
			if err := os.Mkdir(op.Path, 0o755); err != nil {
				t.Error(err)
			}
		case OpSyncDir:
			synced = append(synced, op.Path)
		}
		return do()
	}))
	a := filepath.Join(dir, "a")
	if err := MkdirAll(filepath.Join(a, "b"), 0o755); err != nil || !slices.Equal(synced, []string{dir, a}) {
		t.Errorf("%v; flushed %v", err, synced)
	}
}

func TestATemporaryNameHasItsNumberWhereThePatternHasTheLastStar(t *testing.T) {
	dir := t.TempDir()
	for pattern, want := range map[string]string{"*": `^[0-9]+$`, "*.tmp": `^[0-9]+\.tmp$`, "a*b*c": `^a\*b[0-9]+c$`, "a": `^a[0-9]+$`} {
		name, err := MkdirTemp(dir, pattern)
		if base := filepath.Base(name); err != nil || !regexp.MustCompile(want).MatchString(base) {
			t.Errorf("%s: %s, %v", pattern, base, err)
		}
	}
}

func TestTemporaryNamesThatAreAllTakenEndInAnError(t *testing.T) {
	dir := t.TempDir()
	tries := 0
	t.Cleanup(Watch(dir, func(op Op, _ func() error) error {
		if tries++; tries > 20000 {
			return errors.New("no end")
		}
		return &fs.PathError{Op: "mkdir", Path: op.Path, Err: fs.ErrExist}
	}))
	if _, err := MkdirTemp(dir, "d*"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("after %d tries: %v", tries, err)
	}
}

func TestATemporaryNameThatIsTakenIsNotTheLastTried(t *testing.T) {
	dir := t.TempDir()
	taken := 3
	t.Cleanup(Watch(dir, func(op Op, do func() error) error {
		if taken--; taken >= 0 {
			return &fs.PathError{Op: "mkdir", Path: op.Path, Err: fs.ErrExist}
		}
		return do()
	}))
	name, err := MkdirTemp(dir, "d*")
	if info, statErr := os.Stat(name); err != nil || statErr != nil || !info.IsDir() {
		t.Errorf("%q, %v", name, err)
	}
}

func TestAnOperationIsShownWithItsPathsAndRange(t *testing.T) {
	for want, op := range map[string]Op{
		"rename a b":      {Kind: OpRename, Path: "a", To: "b"},
		"write a [10:13]": {Kind: OpWrite, Path: "a", Offset: 10, Data: []byte("xyz")},
		"sync a":          {Kind: OpSync, Path: "a"},
	} {
		if got := op.String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestAFileWhoseOpeningIsMadeToFailIsClosed(t *testing.T) {
	const open = "/proc/self/fd"
	if _, err := os.Stat(open); err != nil {
		t.Skipf("the system does not show its open files: %v", err)
	}
	path := filepath.Join(t.TempDir(), "f")
	failed := errors.New("input/output error")
	t.Cleanup(Watch(path, func(_ Op, do func() error) error { return errors.Join(do(), failed) }))
	if _, err := OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644); !errors.Is(err, failed) {
		t.Fatalf("open: %v", err)
	}
	entries, err := os.ReadDir(open)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if target, _ := os.Readlink(filepath.Join(open, e.Name())); target == path {
			t.Error("the file stays open")
		}
	}
}

func TestNamesAreExchangedOrNothingHappens(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for _, d := range []string{a, b} {
		if err := errors.Join(os.Mkdir(d, 0o755), os.WriteFile(filepath.Join(d, filepath.Base(d)), nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	err := Exchange(a, b)
	in := a
	if errors.Is(err, errors.ErrUnsupported) {
		t.Logf("this system or file system: %v", err)
	} else if err != nil {
		t.Fatal(err)
	} else {
		in = b
	}
	if _, err := os.Stat(filepath.Join(in, "a")); err != nil {
		t.Error(err)
	}
	if err := Exchange(a, filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("exchange with nothing: %v", err)
	}
}
