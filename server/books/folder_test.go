package books

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"triality/experiments"
	"triality/experiments/graph"
)

func newFolder(t *testing.T) (f *Folder, dir string) {
	t.Helper()
	dir = t.TempDir()
	f, err := Open(dir, filepath.Join(t.TempDir(), "history"))
	if err != nil {
		t.Fatal(err)
	}
	return f, dir
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	p := filepath.Join(dir, filepath.FromSlash(name))
	if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o777), os.WriteFile(p, []byte(text), 0o666)); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, f *Folder, name, text, was string) Book {
	t.Helper()
	b, err := f.Write(name, text, was)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// conflict wants an error that has what the file says now.
func conflict(t *testing.T, err error, now string) {
	t.Helper()
	var e *experiments.Error
	if !errors.As(err, &e) || e.Code != experiments.CodeConflict {
		t.Fatalf("want a conflict, got %v", err)
	}
	if b, ok := e.Details["book"].(Book); !ok || b.Text != now {
		t.Errorf("the conflict says that the file has %q, want %q", b.Text, now)
	}
}

func TestAFolderListsItsNotebooks(t *testing.T) {
	f, dir := newFolder(t)
	put(t, dir, "team/ranks.md", three)
	put(t, dir, "日本語.md", "---\ntitle: 題\n---\n")
	put(t, dir, "README.md", "# No notebook\n")
	put(t, dir, "notes.txt", three)
	put(t, dir, ".git/hidden.md", three)
	put(t, dir, "node_modules/x.md", three)
	put(t, dir, "large.md", three+strings.Repeat("x", graph.MaxFile))
	put(t, dir, "binary.md", three+"\xff")
	list, err := f.List(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range list {
		got = append(got, fmt.Sprintf("%s %q %d", e.Name, e.Title, e.Cells))
	}
	if want := []string{`team/ranks.md "Ranks" 3`, `日本語.md "題" 0`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNamesThatLeadElsewhereAreRefused(t *testing.T) {
	f, dir := newFolder(t)
	outside := t.TempDir()
	put(t, outside, "secret.md", "secret")
	if err := errors.Join(os.Symlink(outside, filepath.Join(dir, "out")), os.Symlink(filepath.Join(outside, "secret.md"), filepath.Join(dir, "link.md"))); err != nil {
		t.Skip("no links here: ", err)
	}
	for _, name := range []string{"", ".", "../secret.md", "a/../../secret.md", "/etc/passwd", "/a.md", "a.txt", "a", ".a.md", "a/.b/c.md", "a//b.md", "a\\b.md", "C:a.md", "a\x00.md", "a\xff.md",
		"out/secret.md", "link.md", strings.Repeat("a", 200) + ".md"} {
		if b, err := f.Read(name); experiments.CodeOf(err) != experiments.CodeInvalid {
			t.Errorf("reading %q gives %q and %v", name, b.Text, err)
		}
		if _, err := f.Write(name, "new", ""); experiments.CodeOf(err) != experiments.CodeInvalid {
			t.Errorf("writing %q gives %v", name, err)
		}
	}
	if text, err := os.ReadFile(filepath.Join(outside, "secret.md")); err != nil || string(text) != "secret" {
		t.Errorf("the file outside has %q, %v", text, err)
	}
}

func TestAWriteReplacesOnlyWhatItKnows(t *testing.T) {
	f, dir := newFolder(t)
	first := write(t, f, "a/b.md", "one", "")
	_, err := f.Write("a/b.md", "other", "")
	conflict(t, err, "one")
	second := write(t, f, "a/b.md", "two", first.Revision)
	_, err = f.Write("a/b.md", "three", first.Revision)
	conflict(t, err, "two")

	put(t, dir, "a/b.md", "by an editor")
	_, err = f.Write("a/b.md", "three", second.Revision)
	conflict(t, err, "by an editor")
	conflict(t, f.Remove("a/b.md", second.Revision), "by an editor")
	now, err := f.Read("a/b.md")
	if err != nil || now.Text != "by an editor" {
		t.Fatalf("the file has %q, %v", now.Text, err)
	}
	if err := f.Remove("a/b.md", now.Revision); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Read("a/b.md"); experiments.CodeOf(err) != experiments.CodeNotFound {
		t.Errorf("a removed notebook gives %v", err)
	}
	if _, err := f.Write("a/b.md", "again", now.Revision); experiments.CodeOf(err) != experiments.CodeNotFound {
		t.Errorf("writing over a removed notebook gives %v", err)
	}
	// What an editor wrote is in the history, though nobody wrote it here.
	history, err := f.History("a/b.md")
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, v := range history {
		b, err := f.Version("a/b.md", v.Revision)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, b.Text)
	}
	if want := []string{"by an editor", "two", "one"}; !slices.Equal(texts, want) {
		t.Errorf("the history has %q, want %q", texts, want)
	}
}

func TestANotebookStaysAsOpenAsItWas(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has other permissions")
	}
	f, dir := newFolder(t)
	mode := func(name string) os.FileMode {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	b := write(t, f, "n.md", "one", "")
	if m := mode("n.md"); m != 0o644 {
		t.Errorf("a new notebook is %v", m)
	}
	if err := os.Chmod(filepath.Join(dir, "n.md"), 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, f, "n.md", "two", b.Revision)
	if m := mode("n.md"); m != 0o600 {
		t.Errorf("a private notebook became %v", m)
	}
}

func TestManyWritersLoseNothing(t *testing.T) {
	f, _ := newFolder(t)
	b := write(t, f, "n.md", "", "")
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range 10 {
				for text := b; ; {
					_, err := f.Write("n.md", fmt.Sprintf("%s%d.%d\n", text.Text, w, i), text.Revision)
					if err == nil {
						break
					}
					var e *experiments.Error
					if !errors.As(err, &e) || e.Code != experiments.CodeConflict {
						t.Error(err)
						return
					}
					text = e.Details["book"].(Book)
				}
			}
		})
	}
	all.Wait()
	now, err := f.Read("n.md")
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(now.Text, "\n"); lines != 40 {
		t.Errorf("%d lines of 40", lines)
	}
}

func TestAHistoryKeepsTheNewest(t *testing.T) {
	f, _ := newFolder(t)
	rev := ""
	for i := range 8 {
		rev = write(t, f, "n.md", fmt.Sprint(i), rev).Revision
	}
	if err := f.trim("n.md", 3); err != nil {
		t.Fatal(err)
	}
	history, err := f.History("n.md")
	if err != nil || len(history) != 3 || history[0].Revision != rev {
		t.Errorf("%d versions, the newest %v; %v", len(history), history, err)
	}
	if _, err := f.Version("n.md", revision([]byte("0"))); experiments.CodeOf(err) != experiments.CodeNotFound {
		t.Errorf("a text that is no longer kept gives %v", err)
	}
}

func TestWhatIsNoNotebookIsNotWritten(t *testing.T) {
	f, _ := newFolder(t)
	if _, err := f.Write("n.md", strings.Repeat("x", graph.MaxFile+1), ""); experiments.CodeOf(err) != experiments.CodeTooLarge {
		t.Errorf("a text that is too large gives %v", err)
	}
	if _, err := f.Write("n.md", "\xff", ""); experiments.CodeOf(err) != experiments.CodeInvalid {
		t.Errorf("a text that is none gives %v", err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none"), t.TempDir()); experiments.CodeOf(err) != experiments.CodeInvalid {
		t.Errorf("a folder that is not there gives %v", err)
	}
}
