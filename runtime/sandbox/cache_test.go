package sandbox_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"triality/runtime/sandbox"
	"triality/runtime/sandbox/wasmtest"
)

// number is a module like Good that returns v as x, and so another module.
func number(v float64) *wasmtest.Metric {
	return wasmtest.Good().Returns(wasmtest.Results(wasmtest.Value{Name: "x", Kind: 1, V: []float64{v}}))
}

// cached evaluates a module with a fresh host on a cache, and returns its
// notes, which the host's logger must have heard, each once.
func cached(t *testing.T, dir string, m *wasmtest.Metric) (notes []string) {
	t.Helper()
	var heard bytes.Buffer
	h := host(t, func(o *sandbox.Options) {
		o.CacheDir, o.Timeout, o.Logger = dir, time.Minute, slog.New(slog.NewTextHandler(&heard, nil))
	})
	defer h.Close()
	_, u, err := h.Evaluate(context.Background(), m.Bytes(), table(1), nil)
	if err != nil {
		t.Fatalf("the module is blamed: %v", err)
	}
	// Another module is as short of a cache as this one, and told so.
	_, other, err := h.Evaluate(context.Background(), number(-1).Bytes(), table(1), nil)
	if err != nil {
		t.Fatalf("the other module is blamed: %v", err)
	}
	for _, n := range u.Notes {
		if strings.Contains(n, "cannot be used") && !slices.Contains(other.Notes, n) {
			t.Errorf("%q is not in the notes of the other module, %q", n, other.Notes)
		}
	}
	if lines := strings.Count(heard.String(), "level=WARN"); lines != len(u.Notes) {
		t.Errorf("logged %d lines for %d notes: %s", lines, len(u.Notes), heard.String())
	}
	return u.Notes
}

// codeFiles are the files of compiled modules.
func codeFiles(t *testing.T, dir string) (out []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if !f.Type().IsRegular() {
			t.Errorf("%s is left", f.Name())
		}
		out = append(out, filepath.Join(dir, f.Name()))
	}
	return out
}

// codeFile is the one of a module.
func codeFile(t *testing.T, dir string, m *wasmtest.Metric) string {
	t.Helper()
	info, err := sandbox.Preflight(m.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range codeFiles(t, dir) {
		if strings.HasPrefix(filepath.Base(f), info.SHA256+".") {
			return f
		}
	}
	t.Fatal("the module is not in the cache")
	return ""
}

func TestTheCompilationCacheIsPrivateAndUsed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	if notes := cached(t, dir, wasmtest.Good()); len(notes) > 0 {
		t.Error(notes)
	}
	if st, err := os.Stat(dir); err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o700 {
		t.Errorf("%v %v, want mode 0700", st.Mode(), err)
	}
	files := codeFiles(t, dir)
	if len(files) != 2 {
		t.Fatalf("files %v, want one a module", files)
	}
	old := time.Now().Add(-time.Hour)
	for _, f := range files {
		if err := os.Chtimes(f, old, old); err != nil {
			t.Fatal(err)
		}
	}
	if notes := cached(t, dir, wasmtest.Good()); len(notes) > 0 {
		t.Error(notes)
	}
	if st, err := os.Stat(files[0]); err != nil || time.Since(st.ModTime()) > 30*time.Minute {
		t.Errorf("%v %v: it was not marked as used", st, err)
	}
}

func TestADamagedCacheHealsAndNoModuleIsBlamed(t *testing.T) {
	// Counts and offsets in the head of such a file have no checksum of wazero's.
	for name, damage := range map[string]func([]byte) []byte{
		"a flipped bit of code":   func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"a flipped bit of counts": func(b []byte) []byte { b[len("WAZEVO")+1+len("v1.12.0")+3] ^= 0x7f; return b },
		"a flipped bit of places": func(b []byte) []byte { b[len("WAZEVO")+1+len("v1.12.0")+4] ^= 0x40; return b },
		"cut off":                 func(b []byte) []byte { return b[:len(b)/2] },
		"empty":                   func([]byte) []byte { return nil },
		"text":                    func([]byte) []byte { return []byte("not found") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "cache")
			cached(t, dir, wasmtest.Good())
			file := codeFile(t, dir, wasmtest.Good())
			code, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, damage(bytes.Clone(code)), 0o600); err != nil {
				t.Fatal(err)
			}
			if notes := cached(t, dir, wasmtest.Good()); len(notes) != 1 || !strings.Contains(notes[0], "damaged file, which was removed: "+file) {
				t.Errorf("notes %q, want one of the damaged file", notes)
			}
			if notes := cached(t, dir, wasmtest.Good()); len(notes) > 0 {
				t.Errorf("it did not heal: %q", notes)
			}
		})
	}
	t.Run("a folder, or a link, in the place of a file", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "cache")
		cached(t, dir, wasmtest.Good())
		file := codeFile(t, dir, wasmtest.Good())
		if err := os.Rename(file, file+".x"); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(file+".x", file); err != nil {
			t.Skip("no links here: ", err)
		}
		if notes := cached(t, dir, wasmtest.Good()); len(notes) != 1 || !strings.Contains(notes[0], "damaged") {
			t.Errorf("notes %q", notes)
		}
		file = codeFile(t, dir, wasmtest.Good())
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(file, 0o700); err != nil {
			t.Fatal(err)
		}
		if notes := cached(t, dir, wasmtest.Good()); len(notes) != 1 || !strings.Contains(notes[0], "damaged") {
			t.Errorf("notes %q", notes)
		}
	})
}

func TestACacheThatCannotBeUsedIsDoneWithout(t *testing.T) {
	without := func(t *testing.T, dir, says string) {
		t.Helper()
		notes := cached(t, dir, wasmtest.Good())
		if len(notes) != 1 || !strings.Contains(notes[0], says) || !strings.Contains(notes[0], "compiled without it") {
			t.Errorf("notes %q, want one of %q", notes, says)
		}
	}
	base := t.TempDir()
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	without(t, file, "not a directory")
	without(t, filepath.Join(file, "below"), "not a directory")
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no permission bits")
	}
	link := filepath.Join(base, "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	without(t, link, "is not a folder")
	if err := os.Symlink(filepath.Join(base, "nowhere"), filepath.Join(base, "dangling")); err != nil {
		t.Fatal(err)
	}
	without(t, filepath.Join(base, "dangling"), "the cache of compiled modules")
	for _, mode := range []os.FileMode{0o777, 0o750, 0o701} {
		dir := t.TempDir()
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		without(t, dir, "open to others")
		if list, err := os.ReadDir(dir); err != nil || len(list) > 0 {
			t.Errorf("%v %v: something was written there", list, err)
		}
	}
	if os.Geteuid() != 0 {
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		without(t, dir, "permission denied")
		t.Skip("only root can give a folder to somebody else")
	}
	foreign := t.TempDir()
	if err := os.Chmod(foreign, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(foreign, 12345, -1); err != nil {
		t.Fatal(err)
	}
	without(t, foreign, "belongs to user 12345")
}

func TestTheCacheIsPruned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	cached(t, dir, number(0))
	st, err := os.Stat(codeFile(t, dir, number(0)))
	if err != nil {
		t.Fatal(err)
	}
	// What earlier versions and killed processes left, and what is not its own.
	for _, name := range []string{"wazero-v1.0.0-amd64-linux", "worker-1", "worker-2", "mine"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "worker-1"), old, old); err != nil {
		t.Fatal(err)
	}
	h := host(t, func(o *sandbox.Options) {
		o.CacheDir, o.CacheBytes, o.Timeout, o.IdleTime = dir, 3*st.Size()+st.Size()/2, time.Minute, -1
	})
	for i := range 6 {
		if _, _, err := h.Evaluate(context.Background(), number(float64(i)).Bytes(), table(1), nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond) // a clock's tick between the uses
		// The first is used all the time.
		if _, _, err := h.Evaluate(context.Background(), number(0).Bytes(), table(1), nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]bool{}
	for _, f := range list {
		module, _, _ := strings.Cut(f.Name(), ".")
		kept[module] = true
	}
	want := map[string]bool{"mine": true, "worker-2": true}
	for _, v := range []float64{0, 4, 5} {
		info, err := sandbox.Preflight(number(v).Bytes())
		if err != nil {
			t.Fatal(err)
		}
		want[info.SHA256] = true
	}
	if len(kept) != len(want) {
		t.Errorf("%d entries are left, want %d", len(kept), len(want))
	}
	for name := range want {
		if !kept[name] {
			t.Errorf("%s is gone", name)
		}
	}
}

func TestAModuleThatTwoProgramsCompiledAtOnceIsTakenFromTheCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	cached(t, dir, wasmtest.Good())
	file := codeFile(t, dir, wasmtest.Good())
	code, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// The same key with another content, whole in itself, as another program left it.
	other := append(bytes.Clone(code), 0)
	parts := strings.Split(filepath.Base(file), ".")
	second := filepath.Join(dir, fmt.Sprintf("%s.%s.%x", parts[0], parts[1], sha256.Sum256(other)))
	if err := os.WriteFile(second, other, 0o600); err != nil {
		t.Fatal(err)
	}
	if notes := cached(t, dir, wasmtest.Good()); len(notes) > 0 {
		t.Errorf("notes %q", notes)
	}
}
