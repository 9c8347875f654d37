// Package metrictemplate writes the folder a new metric module starts from:
// source in one of five languages, the SDK of that language, and a README with
// the command that builds it. A written folder needs nothing else of this
// project.
//
// Every template holds the same metric, the Brier score of arm A, so that the
// languages can be compared and held to the vectors of wasm-metrics/vectors.
package metrictemplate

import (
	"embed"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"triality/runtime/atomicfile"
	"triality/runtime/disk"
)

//go:generate go run copysdk.go

//go:embed files
var files embed.FS

// languages are the names users write, with other spellings of them.
var languages = []struct {
	name    string
	aliases []string
}{
	{"go", []string{"golang"}},
	{"c", nil},
	{"assemblyscript", []string{"as", "ts", "typescript"}},
	{"rust", []string{"rs"}},
	{"wat", nil},
}

// Languages returns the names Write takes.
func Languages() []string {
	var out []string
	for _, l := range languages {
		out = append(out, l.name)
	}
	return out
}

// metricName is narrower than what a description allows: the name becomes a
// folder, a file and a Go module.
var metricName = regexp.MustCompile(`^[a-z][a-z0-9]*([_-][a-z0-9]+)*$`)

// reserved are names that Windows gives to devices, and those Go treats apart.
var reserved = []string{"con", "prn", "aux", "nul", "internal", "vendor", "metric", "testdata"}

var reservedPort = regexp.MustCompile(`^(com|lpt)[0-9]$`)

func checkName(name string) error {
	if len(name) > 64 || !metricName.MatchString(name) {
		return fmt.Errorf("metric name %q: want a letter, then letters and digits with single - or _ between, all lower case, at most 64", name)
	}
	if slices.Contains(reserved, name) || reservedPort.MatchString(name) {
		return fmt.Errorf("metric name %q is reserved; take another", name)
	}
	return nil
}

// folderOf returns the template's folder of a language under any of its names.
func folderOf(lang string) (string, error) {
	lang = strings.ToLower(lang)
	for _, l := range languages {
		if l.name == lang || slices.Contains(l.aliases, lang) {
			return path.Join("files", l.name), nil
		}
	}
	return "", fmt.Errorf("no metric template in %q; there are %s", lang, strings.Join(Languages(), ", "))
}

// Write makes the folder dir/name with a metric called name in the language,
// ready to be built by the command in its README.md. It refuses names that are
// no folder, file and module name everywhere, languages it does not know, and
// a folder that is there already. The folder is made whole or not at all.
func Write(dir, lang, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	from, err := folderOf(lang)
	if err != nil {
		return err
	}
	to := filepath.Join(dir, name)
	err = atomicfile.WriteFolder(to, func(tmp string) error {
		if _, err := os.Lstat(to); err == nil {
			return fmt.Errorf("%s is there already; take another name or remove it: %w", to, fs.ErrExist)
		}
		return copyTree(from, tmp, name)
	})
	if err != nil {
		return fmt.Errorf("new metric: %w", err)
	}
	return nil
}

// copyTree writes the files below from, less their ending .tmpl (which keeps
// the go tool from taking them for its own), with @NAME@ filled in.
func copyTree(from, to, name string) error {
	return fs.WalkDir(files, from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, filepath.FromSlash(strings.TrimPrefix(strings.TrimPrefix(p, from), "/")))
		if d.IsDir() {
			return disk.MkdirAll(target, 0o755)
		}
		b, err := files.ReadFile(p)
		if err != nil {
			return err
		}
		text := strings.ReplaceAll(string(b), "@NAME@", name)
		return atomicfile.WriteFile(strings.TrimSuffix(target, ".tmpl"), 0o644, func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		})
	})
}
