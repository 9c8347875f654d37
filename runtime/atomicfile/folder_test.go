package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func put(name, text string) func(string) error {
	return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644) }
}

func names(t *testing.T, dir string) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestAFolderIsReplacedAsAWhole(t *testing.T) {
	parent := t.TempDir()
	out := filepath.Join(parent, "a", "b")
	for _, f := range []string{"first", "second"} {
		if err := WriteFolder(out, put(f, f)); err != nil {
			t.Fatal(err)
		}
		if got := names(t, out); len(got) != 1 || got[0] != f {
			t.Errorf("the folder holds %v, want %s", got, f)
		}
	}
	if got := names(t, filepath.Dir(out)); len(got) != 1 {
		t.Errorf("left behind: %v", got)
	}
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
	if got := names(t, out); len(got) != 1 || got[0] != "first" {
		t.Errorf("the folder holds %v", got)
	}
	if got := names(t, parent); len(got) != 1 {
		t.Errorf("left behind: %v", got)
	}
}

func TestWhatAKilledCallLeftIsRemoved(t *testing.T) {
	parent := t.TempDir()
	left := filepath.Join(parent, ".b.123"+Suffix)
	other := filepath.Join(parent, ".c.123"+Suffix)
	for _, dir := range []string{left, other} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := WriteFolder(filepath.Join(parent, "b"), put("x", "")); err != nil {
		t.Fatal(err)
	}
	if got := names(t, parent); len(got) != 2 || got[0] != filepath.Base(other) {
		t.Errorf("the parent holds %v", got)
	}
}
