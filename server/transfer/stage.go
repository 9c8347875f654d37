package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"triality/experiments"
	"triality/runtime/disk"
	"triality/runtime/hub"
	"triality/server/objects"
)

// Workplace is a job's folder on a worker.
type Workplace struct {
	Dir    string // where the job's relative paths begin
	Config string // the configuration as it is read there
	Lock   string // file that the job's process holds

	worker  *Worker
	link    link
	run     string
	results []results
	release func()
	outbox  string // second names of what is being sent

	mu        sync.Mutex // one pass at a time
	seq       int
	committed map[string]File
	last      bool
}

// Stage fetches what a job needs and lays it out in a folder, in which an earlier attempt of the job may have left
// something. It goes on where an earlier call was cut.
func (w *Worker) Stage(ctx context.Context, c Caller, run string, tell func(Progress)) (p *Workplace, err error) {
	if !runName.MatchString(run) {
		return nil, experiments.Errorf(experiments.CodeInvalid, "%.80q is no run", run)
	}
	l := link{caller: c, log: w.log.With("run", run)}
	var reply described
	if err := l.call(ctx, methodDescribe, none{}, &reply); err != nil {
		return nil, err
	}
	text, err := getBytes(ctx, l, reply.ID, maxManifest)
	if err != nil {
		return nil, err
	}
	d, err := parseDescription(text)
	if err != nil {
		return nil, err
	}
	if d.Run != run {
		return nil, experiments.Errorf(experiments.CodeInvalid, "the server described run %.64q, not %s", d.Run, run)
	}
	l.bucket = d.Bucket
	needed := slices.Clone(d.Files)
	for i, m := range d.Hub {
		if d.Hub[i].Files, err = lacking(m); err != nil {
			return nil, err
		}
		needed = append(needed, d.Hub[i].Files...)
	}
	ids := make([]objects.ID, len(needed))
	for i, f := range needed {
		ids[i] = f.ID
	}
	release := w.use(ids)
	defer func() {
		if err != nil {
			release()
		}
	}()
	p = &Workplace{
		Dir: filepath.Join(w.dir, "jobs", run, "files"), Lock: filepath.Join(w.dir, "jobs", run, "lock"), Config: d.Config,
		worker: w, link: l, run: run, results: d.Results, release: release, committed: map[string]File{},
		outbox: filepath.Join(w.dir, "jobs", run, "outbox"), seq: reply.Seq,
	}
	if err := w.fetch(ctx, l, needed, tell); err != nil {
		return nil, fmt.Errorf("fetch the files of run %s: %w", run, err)
	}
	if err := disk.MkdirAll(p.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("job's folder: %w", err)
	}
	for _, f := range d.Files {
		if err := errors.Join(ctx.Err(), w.place(ctx, f, p.Dir, f.Path)); err != nil {
			return nil, fmt.Errorf("lay out the files of run %s: %w", run, err)
		}
		if _, ok := unitOf(p.results, f.Path); ok {
			p.committed[f.Path] = f
		}
	}
	for _, m := range d.Hub {
		if err := w.placeHub(ctx, m); err != nil {
			return nil, fmt.Errorf("lay out %s: %w", m.Repo, err)
		}
	}
	return p, nil
}

// hubFolder is where this machine's cache of the Hub has a commit's files.
func hubFolder(m hubModel) (string, error) {
	o, err := hub.FromEnv(os.Getenv)
	if err != nil {
		return "", experiments.Errorf(experiments.CodeInvalid, "%w", err)
	}
	dir, err := hub.FolderOf(o.CacheDir, m.Repo, m.Commit)
	if err != nil {
		return "", experiments.Errorf(experiments.CodeInvalid, "%w", err)
	}
	return dir, nil
}

// lacking are the files of a commit that this machine's cache has not. What it has under the commit's name is the
// commit's.
func lacking(m hubModel) (files []File, err error) {
	dir, err := hubFolder(m)
	if err != nil {
		return nil, err
	}
	for _, f := range m.Files {
		at, err := os.Stat(filepath.Join(dir, filepath.FromSlash(f.Path)))
		if err != nil || !at.Mode().IsRegular() || at.Size() != f.Size {
			files = append(files, f)
		}
	}
	return files, nil
}

// placeHub puts a commit's files into this machine's cache of the Hub, where the job's process looks for them.
func (w *Worker) placeHub(ctx context.Context, m hubModel) error {
	dir, err := hubFolder(m)
	if err != nil {
		return err
	}
	if err := disk.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for _, f := range m.Files {
		if err := w.place(ctx, f, dir, f.Path); err != nil {
			return err
		}
	}
	return nil
}

// Remove removes the job's folder, once its run has ended. The cache stays.
func (p *Workplace) Remove() error {
	p.release()
	return disk.RemoveAll(filepath.Dir(p.Dir))
}

// Get writes bytes that the server has offered.
func (p *Workplace) Get(ctx context.Context, id objects.ID, to io.Writer) error {
	data, err := getBytes(ctx, p.link, id, maxManifest)
	if err != nil {
		return err
	}
	_, err = to.Write(data)
	return err
}

// getBytes reads an object that is no file.
func getBytes(ctx context.Context, l link, id objects.ID, limit int64) ([]byte, error) {
	if err := id.Check(); err != nil {
		return nil, err
	}
	if id.Size > limit {
		return nil, experiments.Errorf(experiments.CodeTooLarge, "object %.12s has %d bytes, at most %d", id.SHA256, id.Size, limit)
	}
	var out bytes.Buffer
	for {
		p := piece{ID: id, Offset: int64(out.Len()), Length: int(min(id.Size-int64(out.Len()), maxPayload))}
		var reply readReply
		if err := l.call(ctx, methodRead, readArgs{[]piece{p}}, &reply); err != nil {
			return nil, err
		}
		if len(reply.Data) != p.Length {
			return nil, experiments.Errorf(experiments.CodeInvalid, "object %.12s: %d bytes were asked for and %d came", id.SHA256, p.Length, len(reply.Data))
		}
		if out.Write(reply.Data); int64(out.Len()) == id.Size {
			return readWhole(&out, id)
		}
	}
}
