package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"triality/experiments"
	"triality/runtime/disk"
	"triality/runtime/filelock"
	"triality/server/objects"
)

// WorkerOptions configure a Worker.
type WorkerOptions struct {
	Dir        string // cache/ and jobs/ lie in it
	CacheBytes int64  // of cache/, beyond what running jobs use; 0: 50 GB
	Logger     *slog.Logger
}

// Worker is the side that runs jobs: files by their hash, shared by its jobs, and a folder for each.
type Worker struct {
	dir    string
	bound  int64
	log    *slog.Logger
	cache  *objects.Folder
	hashes *hashes
	unlock func()

	fetching chan struct{} // held by the job that is fetching: others then find what it got

	mu   sync.Mutex
	uses map[objects.ID]int // by jobs that are here
}

// ProgressFunc is told how far the fetching of a job's files is.
type ProgressFunc func(Progress)

// Progress of fetching, in bytes.
type Progress struct {
	File        string // the one that moved last
	Done, Total int64
}

// OpenWorker opens a worker's folder, which no other process may have open.
func OpenWorker(o WorkerOptions) (*Worker, error) {
	if o.CacheBytes == 0 {
		o.CacheBytes = 50e9
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("worker's folder: %w", err)
	}
	if err := disk.MkdirAll(filepath.Join(dir, "jobs"), 0o700); err != nil {
		return nil, fmt.Errorf("worker's folder: %w", err)
	}
	unlock, err := filelock.Try(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("worker's folder: lock: %w", err)
	}
	if unlock == nil {
		return nil, experiments.Errorf(experiments.CodeUnavailable, "%s: another worker uses this folder; give each its own", dir)
	}
	cache, err := objects.OpenFolder(filepath.Join(dir, "cache"))
	if err != nil {
		unlock()
		return nil, err
	}
	return &Worker{
		dir: dir, bound: o.CacheBytes, log: o.Logger, cache: cache, unlock: unlock,
		hashes: openHashes(filepath.Join(dir, "hashes.json"), true), fetching: make(chan struct{}, 1), uses: map[objects.ID]int{},
	}, nil
}

// Close lets another process use the folder.
func (w *Worker) Close() error {
	err := w.hashes.save()
	w.unlock()
	return err
}

// Clean removes the folders of the jobs that keep does not want: a worker that starts again may have some to go on with.
func (w *Worker) Clean(keep func(run string) bool) error {
	entries, err := os.ReadDir(filepath.Join(w.dir, "jobs"))
	if err != nil {
		return fmt.Errorf("worker's folder: %w", err)
	}
	for _, e := range entries {
		if keep(e.Name()) {
			continue
		}
		if err := disk.RemoveAll(filepath.Join(w.dir, "jobs", e.Name())); err != nil {
			return fmt.Errorf("worker's folder: %w", err)
		}
	}
	return nil
}

// use keeps objects from being pruned, until the result is called.
func (w *Worker) use(ids []objects.ID) (release func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		w.uses[id]++
	}
	return sync.OnceFunc(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, id := range ids {
			if w.uses[id]--; w.uses[id] == 0 {
				delete(w.uses, id)
			}
		}
	})
}

func (w *Worker) inUse(id objects.ID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.uses[id] > 0
}

// fetch brings objects into the cache. They are fetched once, whoever asks for them.
func (w *Worker) fetch(ctx context.Context, l link, files []File, tell ProgressFunc) error {
	select {
	case w.fetching <- struct{}{}:
		defer func() { <-w.fetching }()
	case <-ctx.Done():
		return ctx.Err()
	}
	f := fetcher{link: l, into: w.cache, owner: "worker", tell: tell}
	for _, file := range files {
		f.progress.Total += file.Size
	}
	var missing []File
	seen := map[objects.ID]bool{}
	for _, file := range files {
		there, err := w.cache.Has(ctx, []objects.ID{file.ID})
		if err != nil {
			return err
		}
		if there[0] || seen[file.ID] {
			f.progress.Done += file.Size
			continue
		}
		seen[file.ID] = true
		missing = append(missing, file)
	}
	f.told()
	room := w.bound // for what is there, once the rest has come
	for _, file := range missing {
		room -= file.Size
	}
	removed, err := w.cache.Prune(ctx, room, w.inUse)
	if err != nil {
		return err
	}
	if removed > 0 {
		w.log.Info("files of earlier jobs were removed from the cache", "bytes", removed)
	}
	return f.get(ctx, missing)
}

// place gives a file of the cache a name in a job's folder. One that is there with that content stays.
func (w *Worker) place(ctx context.Context, f File, root, at string) error {
	to := filepath.Join(root, filepath.FromSlash(at))
	if err := folderWithin(root, filepath.Dir(to)); err != nil {
		return err
	}
	if sizeOf(to) == f.Size {
		if id, _, err := w.hashes.of(ctx, to); err == nil && id == f.ID {
			return nil
		}
	}
	if err := removeIfThere(to); err != nil {
		return err
	}
	err := w.cache.Link(f.ID, to)
	if err != nil { // another file system, or one without links
		var from interface {
			Read([]byte) (int, error)
			Close() error
		}
		if from, err = w.cache.Open(ctx, f.ID, 0); err != nil {
			return err
		}
		err = errors.Join(copyTo(ctx, from, f.ID, to), from.Close())
	}
	if err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	w.hashes.note(to, f.ID)
	return nil
}

// folderWithin makes a folder below root and refuses to go through links there.
func folderWithin(root, dir string) error {
	if dir == root {
		return nil
	}
	if err := folderWithin(root, filepath.Dir(dir)); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return disk.Mkdir(dir, 0o755)
	case err != nil:
		return err
	case !info.IsDir():
		return experiments.Errorf(experiments.CodeInvalid, "%s: it is no folder; a job's files are not written through links", dir)
	}
	return nil
}
