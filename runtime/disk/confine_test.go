package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// keepTo makes a folder with a file the one that the process keeps to, beside a secret one.
func keepTo(t *testing.T) (root, outside string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	root, outside = filepath.Join(dir, "root"), filepath.Join(dir, "outside")
	for _, d := range []string{filepath.Join(root, "in"), outside} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{filepath.Join(root, "file"), filepath.Join(outside, "secret")} {
		if err := os.WriteFile(f, []byte("text"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := Confine(root); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Confine(); err != nil {
			t.Error(err)
		}
	})
	return root, outside
}

func TestAProcessKeepsToItsFolderHoweverThePathLeadsOut(t *testing.T) {
	root, outside := keepTo(t)
	link := func(target, at string) string {
		at = filepath.Join(root, at)
		if err := os.Symlink(target, at); err != nil {
			t.Skip("no links here:", err)
		}
		return at
	}
	folder := link(outside, "folder")
	dangling := link(filepath.Join(outside, "new"), "dangling")
	for name, path := range map[string]string{
		"absolute": filepath.Join(outside, "secret"), "by ..": root + "/in/../../outside/secret", "through a linked folder": filepath.Join(folder, "secret"),
		"a link to the file": link(filepath.Join(outside, "secret"), "link"), "a link to a link": link(filepath.Join(root, "link"), "again"),
		"a relative link": link("../outside/secret", "relative"), "a link to what is missing": dangling,
	} {
		if f, err := OpenRegular(path); !errors.Is(err, ErrOutside) {
			t.Errorf("%s: read %v, %v", name, f, err)
		}
		if f, err := OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644); !errors.Is(err, ErrOutside) {
			t.Errorf("%s: write %v, %v", name, f, err)
		}
	}
	first := link(filepath.Join(root, "second"), "first")
	link(first, "second")
	if f, err := OpenRegular(first); err == nil {
		t.Errorf("links in a circle gave %s", f.Name())
	}
	inside := filepath.Join(root, "file")
	for name, err := range map[string]error{
		"a folder":           Mkdir(filepath.Join(folder, "made"), 0o755),
		"folders":            MkdirAll(filepath.Join(outside, "a", "b"), 0o755),
		"a rename out":       Rename(inside, filepath.Join(folder, "stolen")),
		"a rename in":        Rename(filepath.Join(outside, "secret"), filepath.Join(root, "taken")),
		"a removal":          Remove(filepath.Join(folder, "secret")),
		"a removal of all":   RemoveAll(outside),
		"a second name":      Link(filepath.Join(outside, "secret"), filepath.Join(root, "name")),
		"a link made":        Symlink(inside, filepath.Join(folder, "link")),
		"names swapped":      Exchange(inside, filepath.Join(outside, "secret")),
		"a folder's listing": func() error { _, err := ReadDir(folder); return err }(),
	} {
		if !errors.Is(err, ErrOutside) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, err := os.ReadDir(outside); err != nil || len(list) != 1 || list[0].Name() != "secret" {
		t.Errorf("outside there are %v, %v", list, err)
	}
}

func TestWhatIsInsideIsDoneAsEver(t *testing.T) {
	root, _ := keepTo(t)
	t.Chdir(root)
	if err := os.Symlink(filepath.Join(root, "in"), "inner"); err != nil {
		t.Skip("no links here:", err)
	}
	write := func(name, text string) {
		f, err := OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Write([]byte(text))
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	write("inner/a", "a")
	write("b", "b")
	for name, err := range map[string]error{
		"folders": MkdirAll("inner/x/y", 0o755), "exchange": Exchange("inner/a", "b"), "flush": SyncDir("inner"),
	} {
		if err != nil && !(name == "exchange" && errors.Is(err, errors.ErrUnsupported)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if text, err := ReadRegular("inner/a", 10); err != nil || string(text) != "b" {
		t.Errorf("after the exchange: %q, %v", text, err)
	}
	if err := errors.Join(Rename("b", "in/c"), Remove("in/c"), RemoveAll("in")); err != nil {
		t.Error(err)
	}
	if _, err := OpenRegular("inner/a"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestALinkThatIsPlantedAfterTheCheckIsNotFollowed(t *testing.T) {
	root, outside := keepTo(t)
	path := filepath.Join(root, "in", "secret")
	if err := os.WriteFile(path, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	r, rel, err := place(path) // checked
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(root, "in")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(root, "in")); err != nil {
		t.Skip("no links here:", err)
	}
	if f, err := r.Open(rel); err == nil {
		t.Errorf("%s was opened", f.Name())
	}
}
