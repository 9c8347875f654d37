package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// What lies outside is refused in the same words whether it is there or not, so that nobody learns what is.
func TestNothingIsToldOfWhatLiesOutside(t *testing.T) {
	root, outside := keepTo(t)
	if err := os.Mkdir(filepath.Join(outside, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	ways := []string{outside, root + "/in/../../outside"}
	if os.Symlink(outside, filepath.Join(root, "link")) == nil {
		ways = append(ways, filepath.Join(root, "link"))
	}
	for _, way := range ways {
		for _, name := range []string{"secret", "folder", "none", "secret/below", "folder/none", strings.Repeat("long", 100)} {
			path := way + "/" + name
			_, stat := Stat(path)
			_, list := ReadDir(path)
			_, open := Open(path)
			for what, err := range map[string]error{"stat": stat, "list": list, "open": open} {
				if want := "open " + path + ": lies outside " + root + ", which this process keeps to"; err == nil || err.Error() != want {
					t.Errorf("%s: %v", what, err)
				}
			}
		}
		for _, pattern := range []string{way + "/*", way + "/s*", way + "/*/*", root + "/*/s*", root + "/*/../../outside/*"} {
			if got, err := Glob(pattern); len(got) > 0 || err != nil {
				t.Errorf("%s matches %q, %v", pattern, got, err)
			}
		}
	}
	if got, err := Glob(root + "/[fi]*"); err != nil || !slices.Equal(got, []string{filepath.Join(root, "file"), filepath.Join(root, "in")}) {
		t.Errorf("inside there are %q, %v", got, err)
	}
	if info, err := Stat(filepath.Join(root, "file")); err != nil || info.Size() != 4 {
		t.Errorf("%v, %v", info, err)
	}
	if list, err := ReadDir(root); err != nil || len(list) < 2 {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := Stat(filepath.Join(root, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is missing inside: %v", err)
	}
}

// Inside its folder a process finds what filepath.Glob finds.
func TestPatternsMatchInsideAsElsewhere(t *testing.T) {
	root, _ := keepTo(t)
	for _, name := range []string{"in [1]/a.jsonl", "in [1]/b.txt", "deep/er/a.jsonl"} {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for _, pattern := range []string{"*", "*/*.jsonl", "*/*/*", "in ?1?/*", `in \[1\]/a*`, "deep/er/a.jsonl", "none/*", "deep/er", "[", "deep/[", "*/"} {
		want, wantErr := filepath.Glob(filepath.Join(root, pattern))
		got, err := Glob(filepath.Join(root, pattern))
		if !slices.Equal(got, want) || (err == nil) != (wantErr == nil) {
			t.Errorf("%s matches %q (%v), elsewhere %q (%v)", pattern, got, err, want, wantErr)
		}
	}
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
