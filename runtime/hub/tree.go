package hub

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"triality/runtime/atomicfile"
	"triality/runtime/disk"
)

// treeFormat is the version of huggingface_hub's trees/COMMIT.json that this package reads and writes.
const treeFormat = 1

type treeFile struct {
	Version int                  `json:"format_version"`
	Files   map[string]treeEntry `json:"files"`
}

type treeEntry struct {
	Size   int64  `json:"size"`
	BlobID string `json:"blob_id"`
	SHA256 string `json:"lfs_sha256,omitempty"`
	LFS    int64  `json:"lfs_size,omitempty"`
}

func parseTree(commit string, text []byte) (Listing, error) {
	var t treeFile
	if err := json.Unmarshal(text, &t); err != nil {
		return Listing{}, failf(ErrRefused, "the tree does not parse: %w", err)
	}
	if t.Version != treeFormat {
		return Listing{}, failf(ErrRefused, "the tree has format %d, not %d", t.Version, treeFormat)
	}
	l := Listing{Commit: commit}
	for name, e := range t.Files {
		f := File{Path: name, Size: e.Size, BlobID: e.BlobID, SHA256: e.SHA256}
		if f.SHA256 != "" {
			f.Size = e.LFS
		}
		l.Files = append(l.Files, f)
	}
	slices.SortFunc(l.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return l, l.check()
}

// readTree gives a commit's listing from the cache; ok is false where there is none that is sound: it
// is asked for again then.
func (c cache) readTree(repo, commit string) (l Listing, ok bool) {
	text, err := os.ReadFile(filepath.Join(c.repo(repo), "trees", commit+".json"))
	if err != nil {
		return Listing{}, false
	}
	l, err = parseTree(commit, text)
	return l, err == nil
}

// writeTree keeps a commit's listing. One without sizes and hashes is not kept: it would not do for
// huggingface_hub.
func (c cache) writeTree(repo string, l Listing) error {
	t := treeFile{Version: treeFormat, Files: make(map[string]treeEntry, len(l.Files))}
	for _, f := range l.Files {
		if f.Size < 0 || f.BlobID == "" {
			return nil
		}
		e := treeEntry{Size: f.Size, BlobID: f.BlobID, SHA256: f.SHA256}
		if f.SHA256 != "" {
			e.LFS = f.Size
		}
		t.Files[f.Path] = e
	}
	text, err := json.MarshalIndent(t, "", " ")
	if err != nil {
		return fmt.Errorf("encode tree: %w", err)
	}
	return c.write(filepath.Join(c.repo(repo), "trees", l.Commit+".json"), text)
}

// write puts a small file of the cache in its place, its folders made where needed.
func (c cache) write(path string, text []byte) error {
	if err := disk.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return diskFailure(fmt.Errorf("hub cache: %w", err), c.dir)
	}
	return diskFailure(atomicfile.WriteFile(path, 0o644, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	}), c.dir)
}
