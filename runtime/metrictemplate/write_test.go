package metrictemplate_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"triality/runtime/metrictemplate"
)

func TestWriteFillsInTheNameEverywhere(t *testing.T) {
	for _, lang := range metrictemplate.Languages() {
		t.Run(lang, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "not", "there", "yet")
			if err := metrictemplate.Write(dir, lang, "my_metric"); err != nil {
				t.Fatal(err)
			}
			named, readme := 0, false
			err := filepath.WalkDir(filepath.Join(dir, "my_metric"), func(p string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				b, err := os.ReadFile(p)
				if err != nil {
					return err
				}
				readme = readme || d.Name() == "README.md"
				if strings.Contains(string(b), "my_metric") {
					named++
				}
				if strings.Contains(string(b), "@NAME@") || strings.HasSuffix(p, ".tmpl") {
					t.Errorf("%s is still a template", p)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if named < 2 || !readme {
				t.Errorf("%d files name the metric, README.md there: %v", named, readme)
			}
		})
	}
}

func TestWriteTakesOtherSpellingsOfALanguage(t *testing.T) {
	for alias, file := range map[string]string{"as": "index.ts", "TypeScript": "index.ts", "golang": "main.go", "rs": "main.rs", "WAT": "index.wat", "C": "main.c"} {
		dir := t.TempDir()
		if err := metrictemplate.Write(dir, alias, "x"); err != nil {
			t.Errorf("%s: %v", alias, err)
		} else if _, err := os.Stat(filepath.Join(dir, "x", file)); err != nil {
			t.Errorf("%s: %v", alias, err)
		}
	}
}

func TestWriteRefusesNamesAndLanguages(t *testing.T) {
	for name, c := range map[string]struct{ lang, name, want string }{
		"an unknown language":         {"cobol", "x", "go, c, assemblyscript, rust, wat"},
		"no language":                 {"", "x", "go, c"},
		"an empty name":               {"go", "", "want a letter"},
		"a path upwards":              {"go", "../x", "want a letter"},
		"a path":                      {"go", "a/b", "want a letter"},
		"a Windows path":              {"go", `a\b`, "want a letter"},
		"capitals":                    {"go", "Metric", "want a letter"},
		"a digit first":               {"go", "9x", "want a letter"},
		"a dot":                       {"go", "a.b", "want a letter"},
		"a dash at the end":           {"go", "a-", "want a letter"},
		"a quote":                     {"go", `a"b`, "want a letter"},
		"a newline":                   {"go", "a\n", "want a letter"},
		"65 letters":                  {"go", strings.Repeat("a", 65), "at most 64"},
		"a device of Windows":         {"go", "con", "reserved"},
		"a port of Windows":           {"go", "lpt1", "reserved"},
		"the folder of Go's SDK":      {"go", "metric", "reserved"},
		"a folder Go treats as apart": {"go", "internal", "reserved"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			err := metrictemplate.Write(dir, c.lang, c.name)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("it left %v", left)
			}
		})
	}
}

func TestWriteLeavesAFolderThatIsThereAlone(t *testing.T) {
	dir := t.TempDir()
	mine := filepath.Join(dir, "x", "main.go")
	if err := os.Mkdir(filepath.Dir(mine), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mine, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := metrictemplate.Write(dir, "go", "x"); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "there already") {
		t.Errorf("%v", err)
	}
	if b, err := os.ReadFile(mine); err != nil || string(b) != "mine" {
		t.Errorf("%q, %v", b, err)
	}
}

// The copies are made by `go generate ./runtime/metrictemplate`.
func TestTheTemplatesHoldTheProjectsSDKs(t *testing.T) {
	sdk := filepath.Join("..", "..", "wasm-metrics", "sdk")
	for to, from := range map[string]string{"go/metric": "go", "c": "c", "assemblyscript": "assemblyscript", "rust": "rust"} {
		sources, err := os.ReadDir(filepath.Join(sdk, from))
		if err != nil {
			t.Fatal(err)
		}
		copied := 0
		for _, f := range sources {
			if f.Name() == "go.mod" || strings.HasSuffix(f.Name(), "_test.go") {
				continue
			}
			want, err := os.ReadFile(filepath.Join(sdk, from, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			copied++
			got, err := os.ReadFile(filepath.Join("files", filepath.FromSlash(to), f.Name()+".tmpl"))
			if err != nil || string(got) != string(want) {
				t.Errorf("%s/%s differs from the SDK; run go generate ./runtime/metrictemplate (%v)", to, f.Name(), err)
			}
		}
		if copied == 0 {
			t.Errorf("%s holds no SDK", from)
		}
	}
}
