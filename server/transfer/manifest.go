package transfer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"triality/experiments"
	"triality/server/objects"
)

// Bounds of a manifest.
const (
	maxManifest = 128 << 20 // bytes
	maxFiles    = 500_000
	maxPath     = 1024 // bytes of a file's path
)

// File is a file of a job.
type File struct {
	Path string `json:"path"` // below the job's folder, with slashes
	objects.ID
	Mode uint32 `json:"mode"` // permissions
}

// Manifest is the files of a job's results.
type Manifest struct {
	Name  string `json:"name"` // the run
	Files []File `json:"files"`
}

// ParseManifest reads a manifest and refuses what could not be put in place on every system.
func ParseManifest(text []byte) (Manifest, error) {
	var m Manifest
	if err := decode(text, &m); err != nil {
		return m, experiments.Errorf(experiments.CodeInvalid, "manifest: %w", err)
	}
	if err := checkFiles(m.Files); err != nil {
		return m, experiments.Errorf(experiments.CodeInvalid, "manifest of %.80q: %w", m.Name, err)
	}
	return m, nil
}

// decode is strict: unknown fields and text behind the end are errors.
func decode(text []byte, v any) error {
	if len(text) > maxManifest {
		return fmt.Errorf("it has %d bytes, at most %d", len(text), maxManifest)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text follows its end")
	}
	return nil
}

// checkFiles refuses paths that leave the folder, that are one file on a system which tells neither case nor Unicode
// forms apart, and that are a file and a folder at once.
func checkFiles(files []File) error {
	if len(files) > maxFiles {
		return fmt.Errorf("it has %d files, at most %d", len(files), maxFiles)
	}
	fold := cases.Fold()
	folded := map[string]string{} // files, and with a slash at the end folders, by their folded name
	for _, f := range files {
		if err := checkPath(f.Path); err != nil {
			return err
		}
		if err := f.ID.Check(); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
		if f.Mode&^0o777 != 0 {
			return fmt.Errorf("%s: mode %o: want permissions alone", f.Path, f.Mode)
		}
		name := norm.NFC.String(fold.String(norm.NFD.String(f.Path)))
		if other, ok := folded[name]; ok {
			if other == f.Path {
				return fmt.Errorf("%s: it is there twice", f.Path)
			}
			return fmt.Errorf("%s and %s: one file on systems that do not tell case or Unicode forms apart", other, f.Path)
		}
		folded[name] = f.Path
		for dir, own := path.Dir(name), path.Dir(f.Path); dir != "."; dir, own = path.Dir(dir), path.Dir(own) {
			if other, ok := folded[dir+"/"]; !ok {
				folded[dir+"/"] = own
			} else if other != own {
				return fmt.Errorf("%s and %s: one folder on systems that do not tell case or Unicode forms apart", other, own)
			}
		}
	}
	for name, p := range folded {
		if _, ok := folded[strings.TrimSuffix(name, "/")]; ok && strings.HasSuffix(name, "/") {
			return fmt.Errorf("%s: it is a file and a folder", p)
		}
	}
	return nil
}

// checkPath refuses a path that would leave the folder it is put under, on any system.
func checkPath(p string) error {
	bad := func(why string) error { return fmt.Errorf("path %.200q: %s", p, why) }
	switch {
	case p == "" || len(p) > maxPath:
		return bad(fmt.Sprintf("want 1 to %d bytes", maxPath))
	case !utf8.ValidString(p):
		return bad("it is not UTF-8")
	case strings.ContainsFunc(p, func(r rune) bool { return unicode.IsControl(r) || r == '\\' }):
		return bad("it has a control character or a backslash")
	case path.Clean("/"+p) != "/"+p:
		return bad("want a relative path without . or .. or empty parts")
	case !filepath.IsLocal(filepath.FromSlash(p)):
		return bad("it is no name of a file on this system")
	}
	for part := range strings.SplitSeq(p, "/") {
		if runtime.GOOS == "windows" && (strings.HasSuffix(part, ".") || strings.HasSuffix(part, " ")) {
			return bad("a name ends with a dot or a space, which Windows drops")
		}
	}
	return nil
}
