package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func content(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// only fails the test unless dir holds exactly the files named.
func only(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Fatalf("folder holds %v, want %v", got, names)
	}
}

func TestWriteFile(t *testing.T) {
	boom := errors.New("boom")
	tests := map[string]struct {
		before string
		write  func(io.Writer) error
		want   string
		err    error
	}{
		"a new file has the written content":  {write: content("new"), want: "new"},
		"an existing file is replaced":        {before: "old content", write: content("new"), want: "new"},
		"nothing written makes an empty file": {before: "old", write: content(""), want: ""},
		"an error keeps the old content": {
			before: "old",
			write: func(w io.Writer) error {
				io.WriteString(w, "half")
				return boom
			},
			want: "old", err: boom,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "f.txt")
			if tt.before != "" {
				if err := os.WriteFile(path, []byte(tt.before), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := WriteFile(path, 0o644, tt.write)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if err != nil && !strings.Contains(err.Error(), path) {
				t.Errorf("error %q does not name %s", err, path)
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.want {
				t.Errorf("content %q, want %q", got, tt.want)
			}
			only(t, dir, "f.txt")
		})
	}
}

func TestWriteFilePermission(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("windows has no permission bits")
	}
	path := filepath.Join(t.TempDir(), "f")
	if err := WriteFile(path, 0o640, content("x")); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st.Mode().Perm() != 0o640 {
		t.Errorf("mode %o, want 640", st.Mode().Perm())
	}
}

func TestWriteFileRemovesTheTemporaryWhenWritePanics(t *testing.T) {
	dir := t.TempDir()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		WriteFile(filepath.Join(dir, "f"), 0o644, func(io.Writer) error { panic("boom") })
	}()
	only(t, dir)
}

func TestWriteFileIntoAMissingFolderNamesThePath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "f")
	err := WriteFile(path, 0o644, content("x"))
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Fatalf("error %v, want a not-exist error naming %s", err, path)
	}
}

func TestWriteFileOverAFolderFailsAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(dir, "d"), 0o644, content("x")); err == nil {
		t.Fatal("want an error")
	}
	only(t, dir, "d")
}

func TestRemoveStaleTakesOnlyLeftovers(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{".f.123" + Suffix, "keep" + Suffix, ".keep", "keep.txt"} {
		if err := os.WriteFile(filepath.Join(dir, n), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	removed, err := RemoveStale(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(removed) != 1 || removed[0] != ".f.123"+Suffix {
		t.Errorf("removed %v", removed)
	}
	only(t, dir, ".keep", "keep"+Suffix, "keep.txt")
	if _, err := RemoveStale(filepath.Join(dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing folder: error %v", err)
	}
}

func TestACopyIsWholeAndAMissingFileSaysSo(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if err := CopyFile(from, to); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file gives %v", err)
	}
	if err := os.WriteFile(from, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CopyFile(from, to); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(to); err != nil || string(b) != "text" {
		t.Errorf("%q, %v", b, err)
	}
	only(t, dir, "a", "b")
}
