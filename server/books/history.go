package books

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"triality/experiments"
	"triality/runtime/atomicfile"
	"triality/runtime/disk"
)

// MaxVersions is how many texts of a notebook its history keeps; the oldest go first.
const MaxVersions = 500

// Version is a text that a notebook had.
type Version struct {
	Revision string    `json:"revision"`
	Time     time.Time `json:"time"` // when it was written here or, if elsewhere, found
	Size     int64     `json:"size"`
	By       string    `json:"by,omitempty"` // who wrote it here: "page", "api" or a program's name; empty: it was found in the file

	file string // its name in the history
}

// historyOf is the folder of a notebook's texts, each in a file "MILLISECONDS-REVISION.md" or "MILLISECONDS-REVISION.BY.md".
func (f *Folder) historyOf(name string) string {
	return filepath.Join(f.history, revision([]byte(name)))
}

// keep adds a text to a notebook's history, unless it is the newest there.
func (f *Folder) keep(name, text, by string) error {
	dir, rev := f.historyOf(name), revision([]byte(text))
	files, err := f.versions(name)
	if err != nil {
		return err
	}
	at := time.Now().UnixMilli()
	if len(files) > 0 {
		if files[0].Revision == rev {
			return nil
		}
		at = max(at, files[0].Time.UnixMilli()+1)
	}
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("history of %s: %w", name, err)
	}
	err = atomicfile.WriteFile(filepath.Join(dir, fileOf(at, rev, by)), 0o600, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
	if err != nil {
		return fmt.Errorf("history of %s: %w", name, err)
	}
	return f.trim(name, MaxVersions)
}

// trim removes what is older than the newest versions of a history.
func (f *Folder) trim(name string, most int) error {
	files, err := f.versions(name)
	if err != nil {
		return err
	}
	for _, v := range files[min(len(files), most):] {
		if err := disk.Remove(filepath.Join(f.historyOf(name), v.file)); err != nil {
			return fmt.Errorf("history of %s: %w", name, err)
		}
	}
	return nil
}

func fileOf(milliseconds int64, rev, by string) string {
	if by != "" {
		rev += "." + by
	}
	return fmt.Sprintf("%013d-%s.md", milliseconds, rev)
}

var byForm = regexp.MustCompile(`^[A-Za-z0-9_-]{0,40}$`)

// CheckBy refuses what cannot be said of who wrote a notebook.
func CheckBy(by string) error {
	if !byForm.MatchString(by) {
		return experiments.Errorf(experiments.CodeInvalid, "%.80q is no name of who writes: letters, digits, - and _, at most 40", by)
	}
	return nil
}

// History gives the texts that a notebook had, the newest first.
func (f *Folder) History(name string) ([]Version, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	return f.versions(name)
}

func (f *Folder) versions(name string) ([]Version, error) {
	entries, err := os.ReadDir(f.historyOf(name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("history of %s: %w", name, err)
	}
	out := []Version{}
	for _, e := range entries {
		at, rest, _ := strings.Cut(e.Name(), "-")
		rest, ok := strings.CutSuffix(rest, ".md")
		rev, by, _ := strings.Cut(rest, ".")
		ms, err := strconv.ParseInt(at, 10, 64)
		info, gone := e.Info()
		if !ok || err != nil || gone != nil {
			continue // an unfinished file
		}
		out = append(out, Version{Revision: rev, Time: time.UnixMilli(ms).UTC(), Size: info.Size(), By: by, file: e.Name()})
	}
	slices.Reverse(out)
	return out, nil
}

// Version reads a text that a notebook had.
func (f *Folder) Version(name, rev string) (Book, error) {
	files, err := f.History(name)
	if err != nil {
		return Book{}, err
	}
	for _, v := range files {
		if v.Revision == rev {
			text, err := disk.ReadRegular(filepath.Join(f.historyOf(name), v.file), v.Size)
			if err != nil {
				return Book{}, fmt.Errorf("history of %s: %w", name, err)
			}
			return Book{Name: name, Text: string(text), Revision: rev, Modified: v.Time}, nil
		}
	}
	return Book{}, experiments.Errorf(experiments.CodeNotFound, "notebook %s had no revision %s, or it is no longer kept", name, rev)
}
