package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
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
