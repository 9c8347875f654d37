package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"triality/runtime/atomicfile"
)

// Cached is a repository in the cache.
type Cached struct {
	Repo       string         `json:"repository"`
	Bytes      int64          `json:"bytes"`            // on the disk, what several commits share counted once
	Incomplete int64          `json:"incomplete_bytes"` // bytes of downloads that were cut
	Commits    []CachedCommit `json:"commits"`
}

// CachedCommit is one commit of it.
type CachedCommit struct {
	Commit   string    `json:"commit"`
	Refs     []string  `json:"refs"` // branches and tags that meant it when last asked
	Files    int       `json:"files"`
	Bytes    int64     `json:"bytes"`
	Modified time.Time `json:"modified"` // when it was last added to
}

// List gives the model repositories in a cache folder, by name; an absent folder holds none.
func List(dir string) ([]Cached, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("hub cache: %w", err)
	}
	c := cache{dir: dir}
	var out []Cached
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Name(), "models--")
		if !ok || !e.IsDir() {
			continue
		}
		repo := strings.Replace(name, "--", "/", 1)
		cached, err := c.scan(repo, filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("hub cache: %w", err)
		}
		out = append(out, cached)
	}
	return out, nil
}

func (c cache) scan(repo, folder string) (Cached, error) {
	out := Cached{Repo: repo}
	blobs, err := os.ReadDir(filepath.Join(folder, "blobs"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return out, err
	}
	for _, b := range blobs {
		info, err := b.Info()
		switch {
		case errors.Is(err, fs.ErrNotExist): // gone since
		case err != nil:
			return out, err
		case strings.HasSuffix(b.Name(), incomplete):
			out.Incomplete += info.Size()
		default:
			out.Bytes += info.Size()
		}
	}
	refs, err := c.refs(filepath.Join(folder, "refs"))
	if err != nil {
		return out, err
	}
	commits, err := os.ReadDir(filepath.Join(folder, "snapshots"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return out, err
	}
	for _, e := range commits {
		commit := CachedCommit{Commit: e.Name(), Refs: refs[e.Name()]}
		err := filepath.WalkDir(filepath.Join(folder, "snapshots", e.Name()), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := os.Stat(path)
			if err != nil {
				return nil // a link whose blob is gone
			}
			if d.IsDir() {
				if info.ModTime().After(commit.Modified) {
					commit.Modified = info.ModTime()
				}
				return nil
			}
			commit.Files++
			commit.Bytes += info.Size()
			if d.Type().IsRegular() { // not a link: its bytes are not under blobs/
				out.Bytes += info.Size()
			}
			return nil
		})
		if err != nil {
			return out, err
		}
		out.Commits = append(out.Commits, commit)
	}
	return out, nil
}

// refs maps commits to the branches and tags that mean them.
func (c cache) refs(dir string) (map[string][]string, error) {
	out := map[string][]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		commit := strings.TrimSpace(string(text))
		if !strings.HasSuffix(name, atomicfile.Suffix) {
			out[commit] = append(out[commit], filepath.ToSlash(name))
		}
		return nil
	})
	for _, names := range out {
		slices.Sort(names)
	}
	return out, err
}
