package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestWhatIsNoFileWithAnEndIsRefused(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("four"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, limit := range map[string]int64{"as large as allowed": 4, "larger than allowed": 3} {
		data, err := ReadRegular(file, limit)
		if (err == nil) != (limit == 4) || err != nil && !errors.Is(err, ErrTooLarge) || err == nil && string(data) != "four" {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	if _, err := ReadRegular(filepath.Join(dir, "nothing"), 4); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	for name, path := range endless(t, dir) {
		if f, err := OpenRegular(path); !errors.Is(err, ErrNotRegular) {
			t.Errorf("%s: opened as %v, %v", name, f, err)
		}
	}
}
