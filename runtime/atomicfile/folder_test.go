package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"triality/runtime/disk"
)

// put writes one file without flushing it.
func put(name, text string) func(string) error {
	return func(dir string) error {
		f, err := disk.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		_, err = f.Write([]byte(text))
		return errors.Join(err, f.Close())
	}
}

func TestAFolderIsReplacedAsAWhole(t *testing.T) {
	parent := t.TempDir()
	out := filepath.Join(parent, "a", "b")
	for _, f := range []string{"first", "second"} {
		if err := WriteFolder(out, put(f, f)); err != nil {
			t.Fatal(err)
		}
		only(t, out, f)
	}
	only(t, filepath.Dir(out), "b")
}

func TestAFolderStaysAsItWasWhenFillingFails(t *testing.T) {
	parent := t.TempDir()
	out := filepath.Join(parent, "b")
	if err := WriteFolder(out, put("first", "1")); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("failed")
	err := WriteFolder(out, func(dir string) error {
		if err := put("second", "2")(dir); err != nil {
			return err
		}
		return failed
	})
	if !errors.Is(err, failed) {
		t.Fatal(err)
	}
	only(t, out, "first")
	only(t, parent, "b")
}

// withoutExchange makes every swap below dir fail as on a system that has none.
func withoutExchange(t *testing.T, dir string) {
	t.Cleanup(disk.Watch(dir, func(op disk.Op, do func() error) error {
		if op.Kind == disk.OpExchange {
			return errors.ErrUnsupported
		}
		return do()
	}))
}

func TestWhatAKilledCallLeftIsRemoved(t *testing.T) {
	parent := t.TempDir()
	// Another folder's, whose name begins alike, is not.
	for _, dir := range []string{".b" + Suffix, ".b.c" + Suffix} {
		if err := errors.Join(os.Mkdir(filepath.Join(parent, dir), 0o755), put("f", "1")(filepath.Join(parent, dir))); err != nil {
			t.Fatal(err)
		}
	}
	if err := WriteFolder(filepath.Join(parent, "b"), put("x", "")); err != nil {
		t.Fatal(err)
	}
	only(t, parent, ".b.c"+Suffix, "b")
}

func TestAFolderSetAsideComesBack(t *testing.T) {
	failed := errors.New("failed")
	for name, call := range map[string]func(out string) error{
		"by a reader": RecoverFolder,
		"by the next call, which then fails": func(out string) error {
			if err := WriteFolder(out, func(string) error { return failed }); !errors.Is(err, failed) {
				return fmt.Errorf("failed with %w", err)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			out := filepath.Join(parent, "b")
			if err := WriteFolder(out, put("first", "1")); err != nil {
				t.Fatal(err)
			}
			// Killed between the two renames of a system without exchange.
			err := errors.Join(os.Rename(out, filepath.Join(parent, ".b.triality-old")), os.Mkdir(filepath.Join(parent, ".b"+Suffix), 0o755))
			if err != nil {
				t.Fatal(err)
			}
			if err := call(out); err != nil {
				t.Fatal(err)
			}
			only(t, out, "first")
			only(t, parent, "b")
		})
	}
}

func TestAFileIsReadFromAFolderThatWasSetAside(t *testing.T) {
	parent := t.TempDir()
	out := filepath.Join(parent, "b")
	if err := WriteFolder(out, put("first", "1")); err != nil {
		t.Fatal(err)
	}
	read := func(when, name, want string, wantErr error) {
		t.Helper()
		if got, err := ReadFile(out, name); string(got) != want || !errors.Is(err, wantErr) {
			t.Errorf("%s: %s holds %q, %v; want %q, %v", when, name, got, err, want, wantErr)
		}
	}
	read("in its place", "first", "1", nil)
	read("in its place", "other", "", fs.ErrNotExist)
	old := filepath.Join(parent, ".b.triality-old")
	if err := os.Rename(out, old); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("failed")
	stop := disk.Watch(parent, func(disk.Op, func() error) error { return failed })
	read("where nothing can be put back", "first", "", failed)
	stop()
	read("set aside", "first", "1", nil)
	only(t, parent, "b")
	if err := os.RemoveAll(out); err != nil {
		t.Fatal(err)
	}
	read("where there is none", "first", "", fs.ErrNotExist)
}

func TestAReaderOfAFolderThatNeverWasIsNotTold(t *testing.T) {
	parent := t.TempDir()
	if err := RecoverFolder(filepath.Join(parent, "missing", "b")); err != nil {
		t.Error(err)
	}
	only(t, parent)
}

func TestTwoCallsForOneFolderDoNotMeet(t *testing.T) {
	out := filepath.Join(t.TempDir(), "b")
	err := WriteFolder(out, func(dir string) error {
		if err := WriteFolder(out, put("second", "2")); !errors.Is(err, ErrBusy) || !strings.HasPrefix(err.Error(), out+": ") {
			t.Errorf("the second call says %v", err)
		}
		return put("first", "1")(dir)
	})
	if err != nil {
		t.Fatal(err)
	}
	only(t, out, "first")
	only(t, filepath.Dir(out), "b")
}

func TestAFileIsNotReplacedByAFolder(t *testing.T) {
	parent := t.TempDir()
	out := filepath.Join(parent, "b")
	if err := os.WriteFile(out, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := WriteFolder(out, put("x", "")); err == nil || !strings.Contains(err.Error(), "is a file") {
		t.Errorf("error %v", err)
	}
	if b, err := os.ReadFile(out); err != nil || string(b) != "mine" {
		t.Errorf("the file holds %q, %v", b, err)
	}
	only(t, parent, "b")
	root := filepath.VolumeName(parent) + string(filepath.Separator)
	for _, call := range []func() error{
		func() error { return WriteFolder(root, put("x", "")) },
		func() error { return MoveFolder(out, root) },
		func() error { return RecoverFolder(root) },
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), "root of a file system") {
			t.Errorf("the root: %v", err)
		}
	}
}

func TestALinkToAFolderIsReplacedAndItsTargetLeft(t *testing.T) {
	for _, exchange := range []bool{true, false} {
		parent := t.TempDir()
		out, target := filepath.Join(parent, "b"), filepath.Join(parent, "target")
		if err := errors.Join(os.Mkdir(target, 0o755), put("mine", "1")(target)); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("target", out); err != nil {
			t.Skip(err)
		}
		if !exchange {
			withoutExchange(t, parent)
		}
		if err := WriteFolder(out, put("new", "2")); err != nil {
			t.Fatal(err)
		}
		only(t, out, "new")
		only(t, target, "mine")
		only(t, parent, "b", "target")
	}
}

func TestAFolderStaysWhenItsFillerPanics(t *testing.T) {
	out := filepath.Join(t.TempDir(), "b")
	if err := WriteFolder(out, put("first", "1")); err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		WriteFolder(out, func(string) error { panic("boom") })
	}()
	only(t, out, "first")
	only(t, filepath.Dir(out), "b")
}

func TestAFolderMovesIntoPlace(t *testing.T) {
	for _, exchange := range []bool{true, false} {
		parent := t.TempDir()
		from, out := filepath.Join(parent, "work", "from"), filepath.Join(parent, "out", "b")
		if !exchange {
			withoutExchange(t, parent)
		}
		for _, name := range []string{"first", "second"} {
			if err := errors.Join(os.MkdirAll(from, 0o755), put(name, name)(from), MoveFolder(from, out)); err != nil {
				t.Fatal(err)
			}
			only(t, out, name)
			only(t, filepath.Dir(out), "b")
			only(t, filepath.Dir(from))
		}
	}
	if err := MoveFolder(filepath.Join(t.TempDir(), "missing"), filepath.Join(t.TempDir(), "b")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder: %v", err)
	}
}
