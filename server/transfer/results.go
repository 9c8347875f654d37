package transfer

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"triality/experiments"
	"triality/experiments/graph"
	"triality/experiments/pipeline"
	"triality/runtime/disk"
)

// results is a place of a job's folder where steps have their folders.
type results struct {
	Tree string `json:"tree"` // below the job's folder
	// Beside says that the folders are TREE-KEY; else they are TREE/KIND/KEY.
	Beside bool `json:"beside,omitempty"`

	server string // the same on the server
}

var (
	kindName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
	shortKey = regexp.MustCompile(`^[0-9a-f]{12}$`)
)

// unit is a step's folder, or what a step that has not finished keeps.
type unit struct {
	tree   string // below the job's folder
	server string // on the server
	kind   string // empty: any
	key    string // start of the step's key
}

// unitAt is the step's folder of a name below the place.
func (r results) unitAt(kind, key string) (unit, bool) {
	u := unit{kind: kind, key: key}
	if r.Beside {
		u.tree, u.server = r.Tree+"-"+key, r.server+"-"+key
		return u, kind == "" && shortKey.MatchString(key)
	}
	u.tree, u.server = path.Join(r.Tree, kind, key), filepath.Join(r.server, kind, key)
	return u, kindName.MatchString(kind) && shortKey.MatchString(key)
}

// unitOf finds the step's folder that a file of a manifest belongs to.
func unitOf(places []results, file string) (unit, bool) {
	for _, r := range places {
		if r.Beside {
			rest, ok := strings.CutPrefix(file, r.Tree+"-")
			name, _, deeper := strings.Cut(rest, "/")
			key, after, _ := strings.Cut(name, ".") // KEY, or KEY.training
			if u, is := r.unitAt("", key); ok && deeper && is && (after == "" || isCheckpoint(u, file)) {
				return u, true
			}
			continue
		}
		rest, ok := file, true
		if r.Tree != "." {
			rest, ok = strings.CutPrefix(file, r.Tree+"/")
		}
		parts := strings.SplitN(rest, "/", 3)
		if ok && len(parts) == 3 {
			if u, is := r.unitAt(parts[0], parts[1]); is {
				return u, true
			}
		}
	}
	return unit{}, false
}

// isCheckpoint says whether a file is one that the step resumes from.
func isCheckpoint(u unit, file string) bool {
	return slices.ContainsFunc(pipeline.CheckpointFolders(filepath.FromSlash(u.tree)), func(dir string) bool {
		return strings.HasPrefix(file, filepath.ToSlash(dir)+"/")
	})
}

// onServer is where a file of the step's lies on the server.
func (u unit) onServer(file string) string {
	return u.server + filepath.FromSlash(strings.TrimPrefix(file, u.tree))
}

// marker reads the marker of a step's folder; nil where the step has not finished there. dir is the folder.
func (u unit) marker(dir string) *graph.Marker {
	text, err := disk.ReadRegular(filepath.Join(dir, graph.MarkerName), 1<<20)
	if err != nil {
		return nil
	}
	m, err := u.parseMarker(text)
	if err != nil {
		return nil
	}
	for _, o := range m.Outputs {
		if _, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(o))); err != nil {
			return nil
		}
	}
	return m
}

// parseMarker reads a marker and holds it to the folder's name.
func (u unit) parseMarker(text []byte) (*graph.Marker, error) {
	m := new(graph.Marker)
	err := json.Unmarshal(text, m)
	switch {
	case err != nil:
		return nil, experiments.Errorf(experiments.CodeInvalid, "%s/%s: %w", u.tree, graph.MarkerName, err)
	case !strings.HasPrefix(m.Key, u.key) || u.kind != "" && m.Kind != u.kind:
		return nil, experiments.Errorf(experiments.CodeInvalid, "%s/%s is of another step: %s %s", u.tree, graph.MarkerName, m.Kind, m.Key)
	}
	return m, nil
}

// unitsBelow lists the steps' folders that there are, finished or not. root is the job's folder; on the server, where
// there is none, it is empty.
func (r results) unitsBelow(root string) ([]unit, error) {
	at := r.server
	if root != "" {
		at = filepath.Join(root, filepath.FromSlash(r.Tree))
	}
	var out []unit
	add := func(kind, key string) {
		if u, ok := r.unitAt(kind, key); ok && !slices.Contains(out, u) {
			out = append(out, u)
		}
	}
	if r.Beside {
		entries, err := foldersOf(filepath.Dir(at))
		for _, name := range entries {
			if rest, ok := strings.CutPrefix(name, filepath.Base(at)+"-"); ok {
				key, _, _ := strings.Cut(rest, ".")
				add("", key)
			}
		}
		return out, err
	}
	kinds, err := foldersOf(at)
	for _, kind := range kinds {
		keys, keysErr := foldersOf(filepath.Join(at, kind))
		err = errors.Join(err, keysErr)
		for _, key := range keys {
			add(kind, key)
		}
	}
	return out, err
}

// foldersOf names the folders in one that may not be there. Links are none.
func foldersOf(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return out, err
}

// filesOf lists what of a step's folder is sent: all of a finished one, else what it resumes from. at is the folder, as
// it is called where this runs; the names are those of manifests. Names that begin with a dot are locks and what is
// being written; looks are counted on the server.
func (u unit) filesOf(at string) (names []string, finished bool, err error) {
	marker := u.marker(at)
	checkpoints := pipeline.CheckpointFolders(at)
	from := checkpoints
	if marker != nil {
		from = []string{at}
	}
	for _, dir := range from {
		err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // there is none, or it was pruned since
			}
			if err != nil {
				return err
			}
			if p != dir && strings.HasPrefix(d.Name(), ".") || pipeline.IsLooks(d.Name()) || marker != nil && slices.Contains(checkpoints, p) {
				if d.IsDir() {
					return filepath.SkipDir
				}
				return nil
			}
			if d.Type().IsRegular() {
				names = append(names, u.tree+filepath.ToSlash(strings.TrimPrefix(p, at)))
			}
			return nil
		})
		if err != nil {
			return nil, false, err
		}
	}
	return names, marker != nil, nil
}
