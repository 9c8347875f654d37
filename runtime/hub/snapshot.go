package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Snapshot is a commit's files on this machine.
type Snapshot struct {
	Ref    Ref
	Commit string // what Ref.Revision meant
	Dir    string // folder with the files; to be read, not changed
}

// Snapshot brings the files that match patterns (ModelFiles, TokenizerFiles) into the cache and gives
// their folder. A commit that is complete in the cache needs no request. A branch or tag is asked for;
// where the endpoint cannot be reached, what it meant last is used if that is complete, and a note says
// so. Errors are of the kinds in this package.
func (c *Client) Snapshot(ctx context.Context, ref Ref, patterns []string) (Snapshot, error) {
	if err := ref.check(); err != nil {
		return Snapshot{}, failf(ErrNotFound, "%w", err)
	}
	cached, cachedErr := c.cached(ref, patterns)
	if cachedErr == nil && (c.offline || isCommit(ref.Revision)) {
		return cached, nil
	}
	if c.offline {
		return Snapshot{}, failf(ErrOffline, "%s: %w, and HF_HUB_OFFLINE allows no request", ref, cachedErr)
	}
	l, known := Listing{}, false
	if isCommit(ref.Revision) {
		l, known = c.cache.readTree(ref.Repo, ref.Revision)
	}
	if !known {
		retries := c.retries
		if cachedErr == nil {
			retries = 0 // there is something to fall back on
		}
		var err error
		l, err = c.listing(ctx, ref, retries)
		if cachedErr == nil && errors.Is(err, ErrUnreachable) && ctx.Err() == nil {
			c.say(fmt.Sprintf("%v; using %s from the cache, commit %s", err, ref, cached.Commit))
			return cached, nil
		}
		if err != nil {
			return Snapshot{}, err
		}
	}
	return c.complete(ctx, ref, l, patterns)
}

// complete downloads what a snapshot lacks.
func (c *Client) complete(ctx context.Context, ref Ref, l Listing, patterns []string) (Snapshot, error) {
	files := choose(l.Files, patterns)
	if err := checkChoice(ref, l.Files, files, patterns); err != nil {
		return Snapshot{}, err
	}
	for _, f := range files {
		if !filepath.IsLocal(filepath.FromSlash(f.Path)) {
			return Snapshot{}, failf(ErrRefused, "%s: %q is no file's name on this system", ref.Repo, f.Path)
		}
	}
	if err := c.cache.prepare(ref.Repo); err != nil {
		return Snapshot{}, err
	}
	if err := errors.Join(c.cache.writeRef(ref, l.Commit), c.cache.writeTree(ref.Repo, l)); err != nil {
		return Snapshot{}, err
	}
	m := newMeter(ref, files, c.progress)
	missing := slices.DeleteFunc(files, func(f File) bool {
		there := c.cache.has(ref.Repo, l.Commit, f)
		if there {
			m.add(f.Path, max(0, f.Size))
			m.done(f.Path)
		}
		return there
	})
	if err := c.fetchAll(ctx, ref, l.Commit, missing, m); err != nil {
		return Snapshot{}, err
	}
	return Snapshot{Ref: ref, Commit: l.Commit, Dir: c.cache.snapshot(ref.Repo, l.Commit)}, nil
}

// fetchAll downloads files, some at once; the first failure stops the others.
func (c *Client) fetchAll(ctx context.Context, ref Ref, commit string, files []File, m *meter) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	slots := make(chan struct{}, c.parallel)
	for _, f := range files {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := c.fetch(ctx, ref, commit, f, m); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// cached finds a snapshot that is complete without asking anybody.
func (c *Client) cached(ref Ref, patterns []string) (Snapshot, error) {
	commit, ok := c.cache.commitOf(ref)
	s := Snapshot{Ref: ref, Commit: commit, Dir: c.cache.snapshot(ref.Repo, commit)}
	if !ok {
		return s, fmt.Errorf("it is not in the cache %s", c.cache.dir)
	}
	var files []File
	if l, ok := c.cache.readTree(ref.Repo, commit); ok {
		files = choose(l.Files, patterns)
		if err := checkChoice(ref, l.Files, files, patterns); err != nil {
			return s, err
		}
	} else { // an older huggingface_hub wrote the cache
		var err error
		if files, err = found(s.Dir, patterns); err != nil {
			return s, err
		}
	}
	for _, f := range files {
		if !c.cache.has(ref.Repo, commit, f) {
			return s, fmt.Errorf("the cache %s lacks its file %s", c.cache.dir, f.Path)
		}
	}
	return s, nil
}

// found names what a snapshot without a listing must hold: what it has, the shards its index names,
// and for a model configuration and weights.
func found(dir string, patterns []string) ([]File, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("its snapshot is not in the cache")
	}
	if err != nil {
		return nil, fmt.Errorf("hub cache: %w", err)
	}
	var files []File
	for _, e := range entries {
		files = append(files, File{Path: e.Name(), Size: -1})
	}
	chosen := choose(files, patterns)
	need := []string{"config.json"}
	if slices.Contains(patterns, weightsPattern) && !slices.ContainsFunc(chosen, func(f File) bool { return strings.HasSuffix(f.Path, ".safetensors") }) {
		return nil, errors.New("the cache lacks its weights")
	}
	for _, f := range chosen {
		if strings.HasSuffix(f.Path, ".safetensors.index.json") {
			shards, err := shardsOf(filepath.Join(dir, f.Path))
			if err != nil {
				return nil, err
			}
			need = append(need, shards...)
		}
	}
	for _, n := range need {
		chosen = append(chosen, File{Path: n, Size: -1})
	}
	return chosen, nil
}

// shardsOf reads the file names in a safetensors index.
func shardsOf(index string) ([]string, error) {
	text, err := os.ReadFile(index)
	if err != nil {
		return nil, fmt.Errorf("hub cache: %w", err)
	}
	var j struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(text, &j); err != nil {
		return nil, fmt.Errorf("%s: %w", index, err)
	}
	var out []string
	for _, shard := range j.WeightMap {
		if err := checkName(shard); err != nil {
			return nil, fmt.Errorf("%s: %w", index, err)
		}
		if !slices.Contains(out, shard) {
			out = append(out, shard)
		}
	}
	return out, nil
}

// FilesOf names the files of a snapshot that match patterns, relative to its folder, with slashes.
func FilesOf(s Snapshot, patterns []string) ([]string, error) {
	var files []File
	err := filepath.WalkDir(s.Dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(s.Dir, p)
		if err == nil {
			files = append(files, File{Path: filepath.ToSlash(rel), Size: -1})
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("hub cache: %w", err)
	}
	var names []string
	for _, f := range choose(files, patterns) {
		names = append(names, f.Path)
	}
	return names, nil
}

// FolderOf is where a cache keeps a commit's files.
func FolderOf(cacheDir, repo, commit string) (string, error) {
	ref := Ref{Repo: repo, Revision: commit}
	if err := ref.check(); err != nil {
		return "", err
	}
	if !isCommit(commit) {
		return "", fmt.Errorf("%q is no commit", commit)
	}
	return cache{dir: cacheDir}.snapshot(repo, commit), nil
}
