// Package realdata is for tests: extracts of real models, tokenizers and data that are small enough to be
// part of the project, so that tests against the real thing run in any checkout. README.md says where
// they are from.
package realdata

//go:generate go run extract.go

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// folder is this package's, also where tests of other packages ask.
func folder(t testing.TB) string {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("realdata: where this package lies is not known")
	}
	return filepath.Dir(file)
}

// Path is the path of an extract: "models/stories260K" (the whole model), "tokenizers/qwen3" and
// "tokenizers/phi35" (what the extracted texts and the tokenizer's fixtures need), or "data/xsafety".
func Path(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(folder(t), "testdata", filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("realdata: %v", err)
	}
	return path
}

// Paths is the extract and, where the checkout has them beside it, the whole files of ../shared.
func Paths(t testing.TB, name string) []string {
	t.Helper()
	list := []string{Path(t, name)}
	if whole := filepath.Join(folder(t), "..", "..", "..", "shared", filepath.FromSlash(name)); exists(whole) {
		list = append(list, whole)
	} else {
		t.Logf("only the extract of %s is here", name)
	}
	return list
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
