package sandbox_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"triality/runtime/sandbox/wasmtest"
)

// mounted is a folder of its own file system, of that many bytes.
func mounted(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options+",mode=0700"); err != nil {
		t.Skipf("a tmpfs cannot be mounted here, which takes root: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestAFullCacheIsDoneWithout(t *testing.T) {
	dir := mounted(t, "size=64k")
	fill := filepath.Join(dir, "fill")
	f, err := os.Create(fill)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(make([]byte, 1<<20)); err == nil {
		t.Fatal("the file system is not full")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	notes := cached(t, dir, wasmtest.Good())
	if len(notes) != 1 || !strings.Contains(notes[0], "no space left on device") {
		t.Errorf("notes %q, want one that says that there is no space", notes)
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	if notes := cached(t, dir, wasmtest.Good()); len(notes) > 0 || len(codeFiles(t, dir)) != 2 {
		t.Errorf("with space again: %q", notes)
	}
}

func TestACacheThatIsReadOnlyIsDoneWithout(t *testing.T) {
	dir := mounted(t, "size=1m")
	cached(t, dir, wasmtest.Good())
	before, err := os.ReadFile(codeFiles(t, dir)[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	notes := cached(t, dir, wasmtest.Good())
	if len(notes) != 1 || !strings.Contains(notes[0], "read-only file system") {
		t.Errorf("notes %q, want one that says that it is read-only", notes)
	}
	if after, err := os.ReadFile(codeFiles(t, dir)[0]); err != nil || !bytes.Equal(before, after) {
		t.Error("it was changed all the same", err)
	}
}
