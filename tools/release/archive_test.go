package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var (
	someFiles = []file{{name: "b.txt", content: []byte("two"), mode: 0o644}, {name: "a", content: []byte("one"), mode: 0o755}}
	someDate  = time.Unix(1_700_000_000, 0).UTC()
)

func TestAnArchiveOfTheSameFilesHasTheSameBytes(t *testing.T) {
	for _, name := range []string{"x.tar.gz", "x.zip"} {
		var all [][]byte
		for range 2 {
			path := filepath.Join(t.TempDir(), name)
			if err := writeArchive(path, "x", someFiles, someDate); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, data)
		}
		if !bytes.Equal(all[0], all[1]) {
			t.Errorf("%s differs from one writing to the next", name)
		}
	}
}

func TestATarHasItsFilesInOrderWithTheirModes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.tar.gz")
	if err := writeArchive(path, "x", someFiles, someDate); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	r := tar.NewReader(unzipped)
	for _, want := range []struct {
		name, content string
		mode          int64
	}{{"x/a", "one", 0o755}, {"x/b.txt", "two", 0o644}} {
		h, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil || h.Name != want.name || h.Mode != want.mode || string(content) != want.content || !h.ModTime.Equal(someDate) {
			t.Errorf("%s, mode %o, %s, %q: %v", h.Name, h.Mode, h.ModTime, content, err)
		}
	}
}

func TestAZipKeepsTheProgramExecutable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.zip")
	if err := writeArchive(path, "x", someFiles, someDate); err != nil {
		t.Fatal(err)
	}
	r, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if len(r.File) != 2 || r.File[0].Name != "x/a" || r.File[0].Mode().Perm() != 0o755 {
		t.Errorf("entries %v", r.File)
	}
}

func TestEveryLinkedModuleBringsItsLicence(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	for _, s := range systems {
		modules, err := linkedModules(s)
		if err != nil {
			t.Fatal(err)
		}
		if len(modules) < 10 {
			t.Errorf("%v: only %d modules are linked", s, len(modules))
		}
	}
	if _, err := os.Stat("frontend/dist/licenses.md"); err != nil {
		t.Skip("the web pages are not built: task build")
	}
	for _, s := range systems {
		text, err := licences(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"go.etcd.io/bbolt", "github.com/tetratelabs/wazero", "echarts", "svelte", "AssemblyScript", "The Go Authors"} {
			if !bytes.Contains(text, []byte(part)) {
				t.Errorf("%v: nothing of %s", s, part)
			}
		}
	}
}

func TestAReleaseWithoutABuildSaysWhatToDo(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := carriedFiles(); err == nil || !bytes.Contains([]byte(err.Error()), []byte("build first")) {
		t.Errorf("%v", err)
	}
}
