package books

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"triality/experiments"
	"triality/runtime/disk"
	"triality/runtime/disk/powercut"
)

// At any moment of a life of a notebook the file says what was promised last or what is being written, and what is no
// longer in it is in the history.
func TestANotebookAndItsHistoryOutliveAPowerCutAtAnyMoment(t *testing.T) {
	root := t.TempDir()
	open := func(root string) (*Folder, error) {
		return Open(filepath.Join(root, "books"), filepath.Join(root, "history"))
	}
	put(t, root, "books/n.md", "one")
	put(t, root, "history/.keep", "")
	f, err := open(root)
	if err != nil {
		t.Fatal(err)
	}
	rec := powercut.Record(t, root)
	two := write(t, f, "n.md", "two", revision([]byte("one")))
	rec.Mark("two")
	three := write(t, f, "n.md", "three", two.Revision)
	rec.Mark("three")
	if err := f.Remove("n.md", three.Revision); err != nil {
		t.Fatal(err)
	}
	rec.Mark("removed")
	rec.Check(t, func(cut powercut.Cut) error {
		f, err := open(cut.Dir)
		if err != nil {
			return err
		}
		had := map[string]bool{}
		history, err := f.History("n.md")
		if err != nil {
			return err
		}
		for _, v := range history {
			b, err := f.Version("n.md", v.Revision)
			if err != nil || revision([]byte(b.Text)) != v.Revision {
				return fmt.Errorf("the history's %s has %q: %w", v.Revision, b.Text, err)
			}
			had[b.Text] = true
		}
		now, err := f.Read("n.md")
		gone := experiments.CodeOf(err) == experiments.CodeNotFound
		if err != nil && !gone {
			return err
		}
		had[now.Text] = true
		switch {
		case !had["one"], cut.Marked("two") && !had["two"], cut.Marked("three") && !had["three"]:
			return fmt.Errorf("lost: there are %v", had)
		case gone && !cut.Marked("three"), !gone && cut.Marked("removed"):
			return fmt.Errorf("it is gone: %t", gone)
		case cut.Marked("three") && !gone && now.Text != "three", !cut.Marked("three") && cut.Marked("two") && now.Text == "one":
			return fmt.Errorf("it says %q", now.Text)
		}
		return nil
	})
}

// An editor saves while the server's new text lies beside the file, and before it takes its place.
func TestAnEditorsSaveWhileOneIsWrittenIsNotLost(t *testing.T) {
	f, dir := newFolder(t)
	first := write(t, f, "n.md", "one", "")
	var saved atomic.Bool
	t.Cleanup(disk.Watch(dir, func(op disk.Op, do func() error) error {
		if op.Kind == disk.OpWrite && !saved.Swap(true) {
			return errors.Join(do(), os.WriteFile(filepath.Join(dir, "n.md"), []byte("by an editor"), 0o666))
		}
		return do()
	}))
	_, err := f.Write("n.md", "two", first.Revision)
	conflict(t, err, "by an editor")
	if text, err := os.ReadFile(filepath.Join(dir, "n.md")); err != nil || string(text) != "by an editor" {
		t.Errorf("the file has %q, %v", text, err)
	}
	left, err := fs.Glob(os.DirFS(dir), "*")
	if err != nil || strings.Join(left, " ") != "n.md" {
		t.Errorf("left behind: %q, %v", left, err)
	}
}
