package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/runtime/disk"
	"triality/runtime/disk/powercut"
)

func TestAFileOutlivesAPowerCutAtAnyMoment(t *testing.T) {
	for _, before := range []string{"", "old content"} {
		dir := t.TempDir()
		if before != "" {
			if err := os.WriteFile(filepath.Join(dir, "f"), []byte(before), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		rec := powercut.Record(t, dir)
		if err := WriteFile(filepath.Join(dir, "f"), 0o644, func(w io.Writer) error {
			return errors.Join(content("new ")(w), content("content")(w))
		}); err != nil {
			t.Fatal(err)
		}
		rec.Mark("written")
		rec.Check(t, func(cut powercut.Cut) error {
			got, err := os.ReadFile(filepath.Join(cut.Dir, "f"))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			if string(got) != "new content" && (string(got) != before || cut.Marked("written")) {
				return fmt.Errorf("the file holds %q", got)
			}
			if _, err := RemoveStale(cut.Dir); err != nil {
				return err
			}
			entries, err := os.ReadDir(cut.Dir)
			if len(entries) > 1 {
				return fmt.Errorf("left behind: %v", entries)
			}
			return err
		})
	}
}

func TestAFileIsOldOrNewWhateverOperationFails(t *testing.T) {
	boom := errors.New("input/output error")
	for n := 0; ; n++ {
		dir := t.TempDir()
		path := filepath.Join(dir, "f")
		if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
			t.Fatal(err)
		}
		var failing disk.Op
		done := 0
		stop := disk.Watch(dir, func(op disk.Op, do func() error) error {
			done++
			if done == n+1 {
				failing = op
				return boom
			}
			return do()
		})
		err := WriteFile(path, 0o644, content("new"))
		stop()
		if failing.Kind == "" {
			if err != nil || n < 6 {
				t.Errorf("%d operations, %v", n, err)
			}
			return
		}
		want := "old"
		if failing.Kind == disk.OpSyncDir { // as documented: in place, but not promised
			want = "new"
		}
		if got, _ := os.ReadFile(path); string(got) != want {
			t.Errorf("%s failed and the file holds %q", failing, got)
		}
		if !errors.Is(err, boom) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s failed and the caller was told %v", failing, err)
		}
		only(t, dir, "f")
	}
}

// files is a folder as "name=content" of its files.
func files(dir string) string {
	var list []string
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			b, _ := os.ReadFile(path)
			list = append(list, filepath.ToSlash(rel)+"="+string(b))
		}
		return err
	})
	return strings.Join(list, " ")
}

// fillTwo makes a folder of two files, one of them deeper, none flushed.
func fillTwo(text string) func(dir string) error {
	return func(dir string) error {
		sub := filepath.Join(dir, "sub")
		return errors.Join(put("f", text)(dir), disk.Mkdir(sub, 0o755), put("g", text)(sub))
	}
}

func two(text string) string { return "f=" + text + " sub/g=" + text }

// whole says what is wrong with a folder out after a cut: a reader finds the old or the new one; a next
// call, cut anywhere too, and one that fails keep what is there, and one that succeeds leaves nothing else.
func whole(t *testing.T, cut powercut.Cut, out, before string, prepare ...func(disk.Op) error) error {
	allowed := []string{two("new")}
	if !cut.Marked("replaced") {
		allowed = append(allowed, before)
	}
	reader := func(dir string, allowed ...string) (string, error) {
		out := filepath.Join(dir, out)
		if err := RecoverFolder(out); err != nil {
			return "", err
		}
		if got := files(out); slices.Contains(allowed, got) {
			return got, nil
		} else {
			return "", fmt.Errorf("a reader finds %q", got)
		}
	}
	rec := powercut.Record(t, cut.Dir, prepare...)
	got, err := reader(cut.Dir, allowed...)
	if err != nil {
		return err
	}
	failed := errors.New("failed")
	if err := WriteFolder(filepath.Join(cut.Dir, out), func(dir string) error {
		return errors.Join(put("f", "half")(dir), failed)
	}); !errors.Is(err, failed) {
		return err
	}
	if now, err := reader(cut.Dir, got); err != nil {
		return fmt.Errorf("after a call that failed: %q, %w", now, err)
	}
	for _, err := range rec.Broken(t, func(again powercut.Cut) error {
		_, err := reader(again.Dir, got)
		return err
	}) {
		return fmt.Errorf("cut once more: %w", err)
	}
	if err := WriteFolder(filepath.Join(cut.Dir, out), fillTwo("last")); err != nil {
		return err
	}
	if _, err := reader(cut.Dir, two("last")); err != nil {
		return fmt.Errorf("after a further call: %w", err)
	}
	entries, err := os.ReadDir(filepath.Dir(filepath.Join(cut.Dir, out)))
	if len(entries) != 1 {
		return fmt.Errorf("left behind: %v", entries)
	}
	return err
}

func TestAFolderOutlivesAPowerCutAtAnyMoment(t *testing.T) {
	unsupported := func(op disk.Op) error {
		if op.Kind == disk.OpExchange {
			return errors.ErrUnsupported
		}
		return nil
	}
	calls := map[string]func(parent, out string) error{
		"written": func(_, out string) error { return WriteFolder(out, fillTwo("new")) },
		"moved": func(parent, out string) error {
			from := filepath.Join(parent, "work")
			return errors.Join(disk.MkdirAll(from, 0o755), fillTwo("new")(from), MoveFolder(from, out))
		},
	}
	for call, do := range calls {
		for _, before := range []string{"", two("old")} {
			for how, prepare := range map[string][]func(disk.Op) error{"exchanged": nil, "renamed twice": {unsupported}} {
				if before == "" && prepare != nil {
					continue
				}
				t.Run(fmt.Sprintf("%s over %q, %s", call, before, how), func(t *testing.T) {
					t.Parallel()
					parent := t.TempDir()
					out := filepath.Join("a", "b")
					if before != "" {
						if err := WriteFolder(filepath.Join(parent, out), fillTwo("old")); err != nil {
							t.Fatal(err)
						}
					}
					rec := powercut.Record(t, parent, prepare...)
					if err := do(parent, filepath.Join(parent, out)); err != nil {
						t.Fatal(err)
					}
					rec.Mark("replaced")
					rec.Check(t, func(cut powercut.Cut) error { return whole(t, cut, out, before, prepare...) })
					rec.Check(t, func(cut powercut.Cut) error { // what is deleted afterwards does not come back in part
						out := filepath.Join(cut.Dir, out)
						if err := errors.Join(os.RemoveAll(out), RecoverFolder(out)); err != nil {
							return err
						}
						if got := files(out); got != "" && got != before {
							return fmt.Errorf("after its removal the folder holds %q", got)
						}
						return nil
					})
				})
			}
		}
	}
}

func TestAFolderIsOldOrNewWhateverOperationFails(t *testing.T) {
	boom := errors.New("input/output error")
	for _, exchange := range []bool{true, false} {
		for n := 0; ; n++ {
			parent := t.TempDir()
			out := filepath.Join(parent, "b")
			if err := WriteFolder(out, fillTwo("old")); err != nil {
				t.Fatal(err)
			}
			var failing disk.Op
			done := 0
			stop := disk.Watch(parent, func(op disk.Op, do func() error) error {
				if op.Kind == disk.OpExchange && !exchange {
					return errors.ErrUnsupported
				}
				if done++; done == n+1 {
					failing = op
					return boom
				}
				return do()
			})
			err := WriteFolder(out, fillTwo("new"))
			stop()
			got := files(out)
			if failing.Kind == "" {
				if err != nil || got != two("new") || n < 12 {
					t.Errorf("%d operations, %v, the folder holds %q", n, err, got)
				}
				break
			}
			if got != two("old") && got != two("new") {
				t.Errorf("%s failed and the folder holds %q", failing, got)
			}
			if !errors.Is(err, boom) {
				t.Errorf("%s failed and the caller was told %v", failing, err)
			}
			if err := WriteFolder(out, fillTwo("last")); err != nil || files(out) != two("last") {
				t.Errorf("%s failed; the next call says %v and leaves %q", failing, err, files(out))
			}
			only(t, parent, "b")
		}
	}
}
