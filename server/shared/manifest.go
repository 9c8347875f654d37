package shared

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"triality/experiments"
	"triality/experiments/graph"
	"triality/runtime/printable"
	"triality/server/objects"
)

// Bounds of a manifest, which anyone who writes to the store may have written.
const (
	maxManifest = 16 << 20 // bytes
	maxFiles    = 50_000
	maxFile     = 1 << 50 // bytes
	maxNotes    = 200
	maxText     = 2000 // bytes of a note or a name
)

// manifest says which files a result is, and who made it. It is written when all of them are there.
type manifest struct {
	Format     int       `json:"format"` // formatNow
	Kind       string    `json:"kind"`
	Key        string    `json:"key"`
	By         string    `json:"by"` // who made it
	RunID      string    `json:"run_id,omitempty"`
	FinishedAt time.Time `json:"finished_at"`
	Seconds    float64   `json:"seconds"`
	Notes      []string  `json:"notes,omitempty"`
	Files      []file    `json:"files"`
}

const formatNow = 1

// file is one of a result.
type file struct {
	Path string `json:"path"` // relative to the step's folder, with slashes
	objects.ID
}

var (
	keyForm = regexp.MustCompile(`^[0-9a-f]{64}$`)
	runForm = regexp.MustCompile(`^[A-Za-z0-9._-]{0,100}$`)
)

// read decodes a manifest and holds it to the step that it is to be of. Nothing in it is trusted.
func read(text []byte, s *graph.Planned) (*manifest, error) {
	m := new(manifest)
	if err := json.Unmarshal(text, m); err != nil {
		return nil, refused(s, "%w", err)
	}
	switch {
	case m.Format != formatNow:
		return nil, refused(s, "it has format %d, this version reads %d", m.Format, formatNow)
	case m.Key != s.Key || m.Kind != s.Kind.Name:
		return nil, refused(s, "it is of the %.40q step %.70q", m.Kind, m.Key)
	case len(m.Files) > maxFiles:
		return nil, refused(s, "it has %d files, may have %d", len(m.Files), maxFiles)
	case math.IsNaN(m.Seconds) || m.Seconds < 0 || m.Seconds > 1e9:
		return nil, refused(s, "it took %v seconds", m.Seconds)
	case !runForm.MatchString(m.RunID):
		return nil, refused(s, "its run is called %.80q", m.RunID)
	case m.By == "" || len(m.By) > maxText || len(m.Notes) > maxNotes:
		return nil, refused(s, "it has %d notes, and %d bytes of a name", len(m.Notes), len(m.By))
	}
	m.By = printable.Line(m.By)
	for i, n := range m.Notes {
		if len(n) > maxText {
			return nil, refused(s, "a note has %d bytes", len(n))
		}
		m.Notes[i] = printable.Line(n)
	}
	return m, m.checkFiles(s)
}

// checkFiles holds the files to those that the step gives.
func (m *manifest) checkFiles(s *graph.Planned) error {
	seen := map[string]bool{}
	has := map[string]bool{}
	for _, f := range m.Files {
		if err := f.Check(); err != nil {
			return refused(s, "%w", err)
		}
		bad := !fs.ValidPath(f.Path) || !filepath.IsLocal(filepath.FromSlash(f.Path)) || strings.ContainsAny(f.Path, "\\:\x00") || len(f.Path) > 400 || f.Size > maxFile
		for part := range strings.SplitSeq(f.Path, "/") {
			bad = bad || strings.HasPrefix(part, ".")
		}
		of := slices.IndexFunc(s.Files, func(o string) bool { return below(f.Path, filepath.ToSlash(o)) })
		if bad || of < 0 && f.Path != graph.MetricsName || f.Path == graph.MarkerName {
			return refused(s, "a %s step has no file %.200q", s.Kind.Name, f.Path)
		}
		if folded := strings.ToLower(f.Path); seen[folded] {
			return refused(s, "%.200q is there twice", f.Path)
		} else {
			seen[folded] = true
		}
		if of >= 0 {
			has[s.Files[of]] = true
		}
	}
	for _, f := range m.Files {
		for dir := path.Dir(strings.ToLower(f.Path)); dir != "."; dir = path.Dir(dir) {
			if seen[dir] {
				return refused(s, "%.200q lies in a file", f.Path)
			}
		}
	}
	for _, o := range s.Files {
		if !has[o] {
			return refused(s, "it has no %s", o)
		}
	}
	return nil
}

// below says whether a path is another or lies in it.
func below(p, folder string) bool {
	return p == path.Clean(folder) || strings.HasPrefix(p, path.Clean(folder)+"/")
}

// marker is what the step's folder gets, or what stands for it while the files are away.
func (m *manifest) marker(s *graph.Planned) *graph.Marker {
	return &graph.Marker{
		Kind: s.Kind.Name, Key: s.Key, RunID: m.RunID, FinishedAt: m.FinishedAt, Seconds: m.Seconds, Outputs: s.Files, Notes: m.Notes, By: m.By,
	}
}

// bytes are those of all files.
func (m *manifest) bytes() (n int64) {
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}

// refused is about a result that is there and not taken.
func refused(s *graph.Planned, format string, args ...any) error {
	return experiments.Errorf(experiments.CodeInvalid, "shared result %.12s of %s: %w", s.Key, s.Name, fmt.Errorf(format, args...))
}
