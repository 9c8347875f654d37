// Package books keeps a folder of notebooks, which people, their editors, git and this server change side by side, and says
// what state each cell of a notebook is in.
package books

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"triality/experiments"
	"triality/experiments/graph"
	"triality/experiments/notebook"
	"triality/runtime/atomicfile"
	"triality/runtime/disk"
)

// Folder is a folder of notebooks and, elsewhere, the history of what they said. It is safe for concurrent use.
type Folder struct {
	dir     string // real, absolute
	history string
	mu      sync.Mutex // writers
}

// MaxFiles bounds how many files below the folder are looked at.
const MaxFiles = 10_000

// Open opens a folder, which must be there. What notebooks said is kept below the folder history, which is made.
func Open(dir, history string) (*Folder, error) {
	real, err := disk.Real(dir)
	if err != nil {
		return nil, experiments.Errorf(experiments.CodeInvalid, "notebooks: %w", err)
	}
	if info, err := os.Stat(real); err != nil || !info.IsDir() {
		return nil, experiments.Errorf(experiments.CodeInvalid, "notebooks: there is no folder %s", dir)
	}
	return &Folder{dir: real, history: history}, nil
}

// Dir is the folder.
func (f *Folder) Dir() string { return f.dir }

// Entry is a notebook in the list of a folder.
type Entry struct {
	Name     string    `json:"name"` // path below the folder, with slashes
	Title    string    `json:"title,omitempty"`
	Cells    int       `json:"cells"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
}

// Book is a notebook's text as it is in its file.
type Book struct {
	Name     string    `json:"name"`
	Text     string    `json:"text"`
	Revision string    `json:"revision"` // SHA-256 of the text, hex
	Modified time.Time `json:"modified"`
	Blocks   []Block   `json:"blocks,omitempty"` // the text, one after the other, where they were asked for
}

// List gives the notebooks below the folder by name: the Markdown files that have cells or a title. Folders whose names begin
// with a dot, and node_modules, are left out.
func (f *Folder) List(ctx context.Context) ([]Entry, error) {
	out := []Entry{}
	seen := 0
	err := filepath.WalkDir(f.dir, func(p string, e fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil || p == f.dir {
			return err
		}
		if seen++; seen > MaxFiles {
			return experiments.Errorf(experiments.CodeTooLarge, "notebooks: %s has more than %d files; serve a folder that holds notebooks", f.dir, MaxFiles)
		}
		if strings.HasPrefix(e.Name(), ".") || e.Name() == "node_modules" {
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(f.dir, p)
		if err != nil || !e.Type().IsRegular() || CheckName(filepath.ToSlash(rel)) != nil {
			return err
		}
		book, err := f.Read(filepath.ToSlash(rel))
		if err != nil {
			return nil // too large, no text, or gone meanwhile: no notebook to show
		}
		d := notebook.Parse(book.Name, book.Text)
		if n, title := len(d.Cells()), d.Title(); n > 0 || title != "" {
			out = append(out, Entry{Name: book.Name, Title: title, Cells: n, Size: int64(len(book.Text)), Modified: book.Modified})
		}
		return nil
	})
	slices.SortFunc(out, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return out, err
}

// CheckName refuses what is no name of a notebook: a path with slashes that ends with .md, without "..", and in which nothing
// begins with a dot.
func CheckName(name string) error {
	bad := !fs.ValidPath(name) || path.Ext(name) != ".md" || len(name) > 200 || strings.ContainsAny(name, "\\:\x00") || !utf8.ValidString(name)
	for part := range strings.SplitSeq(name, "/") {
		bad = bad || strings.HasPrefix(part, ".")
	}
	if bad {
		return experiments.Errorf(experiments.CodeInvalid, "%q is no name of a notebook: a path that ends with .md, such as team/ranks.md", name)
	}
	return nil
}

// path gives a notebook's file, which links cannot lead out of the folder.
func (f *Folder) path(name string) (string, error) {
	if err := CheckName(name); err != nil {
		return "", err
	}
	p := filepath.Join(f.dir, filepath.FromSlash(name))
	real, err := disk.Real(p)
	if err != nil || !disk.Below(real, f.dir) {
		return "", experiments.Errorf(experiments.CodeInvalid, "notebook %s leads out of the folder", name)
	}
	return real, nil
}

// Read reads a notebook.
func (f *Folder) Read(name string) (Book, error) {
	p, err := f.path(name)
	if err != nil {
		return Book{}, err
	}
	text, err := disk.ReadRegular(p, graph.MaxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Book{}, experiments.Errorf(experiments.CodeNotFound, "there is no notebook %s", name)
	case err != nil:
		return Book{}, experiments.Errorf(experiments.CodeInvalid, "notebook %s: %w", name, err)
	case !utf8.Valid(text):
		return Book{}, experiments.Errorf(experiments.CodeInvalid, "notebook %s is not UTF-8", name)
	}
	info, err := os.Stat(p)
	if err != nil {
		return Book{}, fmt.Errorf("notebook %s: %w", name, err)
	}
	return Book{Name: name, Text: string(text), Revision: revision(text), Modified: info.ModTime().UTC()}, nil
}

func revision(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Write replaces a notebook whose revision is the given one; an empty revision makes a notebook that must not be there yet.
// Where the file says something else by now, the error's Details hold it as "book", and nothing is changed.
func (f *Folder) Write(name, text, was string) (Book, error) { return f.WriteBy(name, text, was, "") }

// WriteBy is Write with who writes, for the history; see CheckBy.
func (f *Folder) WriteBy(name, text, was, by string) (Book, error) {
	p, err := f.path(name)
	if err == nil {
		err = CheckBy(by)
	}
	switch {
	case err != nil:
		return Book{}, err
	case len(text) > graph.MaxFile:
		return Book{}, experiments.Errorf(experiments.CodeTooLarge, "notebook %s has %d bytes, may have %d", name, len(text), graph.MaxFile)
	case !utf8.ValidString(text):
		return Book{}, experiments.Errorf(experiments.CodeInvalid, "notebook %s is not UTF-8", name)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.expect(name, was, true); err != nil {
		return Book{}, err
	}
	if err := disk.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		return Book{}, fmt.Errorf("notebook %s: %w", name, err)
	}
	perm := fs.FileMode(0o644)
	if info, err := os.Stat(p); err == nil {
		perm = info.Mode().Perm() // a file stays as open as it was
	}
	// The file is looked at once more when the new text lies beside it: an editor's save in between is not lost, but for the
	// instant of the rename.
	err = atomicfile.WriteFile(p, perm, func(w io.Writer) error {
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
		return f.expect(name, was, false)
	})
	if err != nil {
		return Book{}, fmt.Errorf("notebook %s: %w", name, err)
	}
	if err := f.keep(name, text, by); err != nil {
		return Book{}, err
	}
	return f.Read(name)
}

// expect holds a notebook to a revision; what it says is kept in its history where keep is set.
func (f *Folder) expect(name, was string, keep bool) error {
	now, err := f.Read(name)
	switch {
	case experiments.CodeOf(err) == experiments.CodeNotFound && was == "":
		return nil
	case err != nil:
		return err
	case was == "":
		return changed(now, "there is a notebook %s already", name)
	case now.Revision != was:
		return changed(now, "notebook %s was changed meanwhile, by another window, an editor or git", name)
	}
	if keep {
		return f.keep(name, now.Text, "")
	}
	return nil
}

func changed(now Book, format string, args ...any) error {
	err := experiments.Errorf(experiments.CodeConflict, format, args...)
	err.Details = map[string]any{"book": now}
	return err
}

// Remove takes a notebook away whose revision is the given one; its history stays.
func (f *Folder) Remove(name, was string) error {
	p, err := f.path(name)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if was == "" {
		return experiments.Errorf(experiments.CodeInvalid, "notebook %s: say which revision is to go", name)
	}
	if err := f.expect(name, was, true); err != nil {
		return err
	}
	if err := errors.Join(disk.Remove(p), disk.SyncDir(filepath.Dir(p))); err != nil {
		return fmt.Errorf("notebook %s: %w", name, err)
	}
	return nil
}
