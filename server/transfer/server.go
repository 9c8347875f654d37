package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"triality/experiments"
	"triality/experiments/pipeline"
	"triality/runtime/atomicfile"
	"triality/runtime/disk"
	"triality/server/objects"
)

// ServerOptions configure a Server.
type ServerOptions struct {
	Dir string // the data folder; what is received lies in its transfer/ until it is in place
	// Allowed refuses a path that a job may not read or write; nil: any.
	Allowed func(path string) error
	Bucket  *objects.Bucket // that large files go through; nil: none
	Logger  *slog.Logger
}

// Server is the side that has the inputs and gets the results.
type Server struct {
	dir     string
	allowed func(string) error
	bucket  *objects.Bucket
	log     *slog.Logger
	hashes  *hashes

	mu   sync.Mutex
	jobs map[string]*job // by run
}

// NewServer opens the server's side.
func NewServer(o ServerOptions) (*Server, error) {
	dir := filepath.Join(o.Dir, "transfer")
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("transfer: %w", err)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Allowed == nil {
		o.Allowed = func(string) error { return nil }
	}
	return &Server{
		dir: dir, allowed: o.Allowed, bucket: o.Bucket, log: o.Logger, jobs: map[string]*job{},
		hashes: openHashes(filepath.Join(dir, "hashes.json"), false),
	}, nil
}

// Job is an attempt whose files a worker asks for.
type Job struct {
	Run     string
	Attempt int
	Config  string            // a pipeline, a graph or a notebook
	Dir     string            // where its relative paths begin; empty: the server's folder
	Outputs []string          // folders of the run's steps, as the run records them: what this machine has begun goes on
	Commits map[string]string // of models of the Hub, by the keys that name them, in a graph by their names, where an earlier attempt has found them
}

var runName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// job is an attempt under way.
type job struct {
	run     string
	attempt int
	store   *objects.Folder
	ready   bool

	// What follows is fixed once the job is ready.
	described objects.ID
	sources   map[objects.ID]source
	results   []results
	tests     map[string]string // layout.tests
	names     map[string]string // layout.names

	mu      sync.Mutex
	offered map[objects.ID][]byte // the description, and what Offer got
	uploads uploads
	moves   *moves

	committing sync.Mutex
	record     record
}

// record is what outlives the server of a run's transfer.
type record struct {
	Run       string     `json:"run"`
	Attempt   int        `json:"attempt"`
	Seq       int        `json:"seq"` // of the attempt's newest commit; 0: none
	Last      bool       `json:"last"`
	Manifest  objects.ID `json:"manifest"` // of that commit
	Committed Manifest   `json:"committed"`
}

func (s *Server) folder(run string) string     { return filepath.Join(s.dir, run) }
func (s *Server) recordPath(run string) string { return filepath.Join(s.folder(run), "record.json") }

func (s *Server) readRecord(run string) (record, error) {
	var r record
	text, err := disk.ReadRegular(s.recordPath(run), maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return record{Run: run}, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return r, fmt.Errorf("transfer of run %s: %w", run, err)
	}
	return r, nil
}

func (s *Server) writeRecord(r record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("transfer of run %s: %w", r.Run, err)
	}
	return atomicfile.WriteFile(s.recordPath(r.Run), 0o600, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// Begin takes up an attempt: from here on earlier ones are refused. It hashes the inputs that have changed since they
// were hashed last, and offers with them what the attempts before have left. What a worker cannot be sent is an error
// that names the key.
func (s *Server) Begin(ctx context.Context, j Job) (err error) {
	if !runName.MatchString(j.Run) {
		return experiments.Errorf(experiments.CodeInvalid, "%.80q is no run", j.Run)
	}
	own := &job{run: j.Run, attempt: j.Attempt, offered: map[objects.ID][]byte{}, moves: newMoves()}
	s.mu.Lock()
	old := s.jobs[j.Run]
	if old != nil && old.attempt > j.Attempt {
		s.mu.Unlock()
		return fenced(j.Run, j.Attempt, old.attempt)
	}
	s.jobs[j.Run] = own
	s.mu.Unlock()
	defer func() {
		if err != nil {
			s.drop(own)
		}
	}()
	if old != nil {
		old.moves.stop()
		old.uploads.close()
		old.committing.Lock() // a commit of it under way comes to its end before the results are looked at
		defer old.committing.Unlock()
	}
	if err := disk.MkdirAll(s.folder(j.Run), 0o700); err != nil {
		return fmt.Errorf("transfer of run %s: %w", j.Run, err)
	}
	if own.record, err = s.readRecord(j.Run); err != nil {
		return err
	}
	if own.record.Attempt > j.Attempt {
		return fenced(j.Run, j.Attempt, own.record.Attempt)
	}
	if own.store, err = objects.OpenFolder(s.folder(j.Run)); err != nil {
		return err
	}
	own.uploads.store, own.uploads.owner = own.store, j.Run
	if err := s.describe(ctx, j, own); err != nil {
		return err
	}
	if err := s.hashes.save(); err != nil {
		s.log.Warn("the hashes of files are not kept", "error", err)
	}
	if own.record.Attempt < j.Attempt {
		own.record.Attempt, own.record.Seq, own.record.Last, own.record.Manifest = j.Attempt, 0, false, objects.ID{}
		if err := s.writeRecord(own.record); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.jobs[j.Run] != own {
		return fenced(j.Run, j.Attempt, j.Attempt+1)
	}
	own.ready = true
	return nil
}

func fenced(run string, attempt, now int) error {
	return experiments.Errorf(experiments.CodeConflict, "attempt %d of run %s has ended; attempt %d has taken over", attempt, run, now)
}

// describe makes the job's description.
func (s *Server) describe(ctx context.Context, j Job, own *job) error {
	spec, err := pipeline.ParseSpec("config", []byte(j.Config))
	if err != nil {
		return err
	}
	dir := j.Dir
	if dir == "" {
		dir = "."
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return fmt.Errorf("transfer of run %s: %w", j.Run, err)
	}
	l := &layout{dir: dir, hashes: s.hashes, allowed: s.allowed, files: map[string]File{}, sources: map[objects.ID]source{}, tests: map[string]string{}, names: map[string]string{}}
	d := description{Version: version, Run: j.Run, Attempt: j.Attempt, Bucket: s.bucket != nil}
	if d.Config, err = l.fill(ctx, spec, j.Commits); err != nil {
		return err
	}
	own.results, own.tests, own.names = l.results, l.tests, l.names
	if own.record.Committed, err = l.left(ctx, own.record.Committed, j.Outputs); err != nil {
		return err
	}
	d.Results, d.Hub = l.results, l.hub
	for _, at := range l.order {
		d.Files = append(d.Files, l.files[at])
	}
	if err := checkFiles(d.Files); err != nil {
		return experiments.Errorf(experiments.CodeInvalid, "the job's files cannot be sent to a worker: %w", err)
	}
	text, err := d.encode()
	if err != nil {
		return err
	}
	own.described = objects.Of(text)
	own.offered[own.described] = text
	own.sources = l.sources
	return nil
}

// left adds what the attempts before have left in the folders of the run's steps, as it is now, whichever machine they
// ran on. It gives those files.
func (l *layout) left(ctx context.Context, committed Manifest, outputs []string) (Manifest, error) {
	now := Manifest{Name: committed.Name}
	ours := map[string]bool{}
	for _, dir := range outputs {
		ours[l.abs(dir)] = dir != ""
	}
	for _, f := range committed.Files {
		if u, ok := unitOf(l.results, f.Path); ok {
			ours[u.server] = true
		}
	}
	for _, r := range l.results {
		units, err := r.unitsBelow("")
		if err != nil {
			return now, fmt.Errorf("results of an attempt before: %w", err)
		}
		for _, u := range units {
			if !ours[u.server] {
				continue
			}
			if now.Files, err = l.leftBy(ctx, u, now.Files); err != nil {
				return now, err
			}
		}
	}
	return now, nil
}

// leftBy adds what there is of a step.
func (l *layout) leftBy(ctx context.Context, u unit, files []File) ([]File, error) {
	names, _, err := u.filesOf(u.server)
	if err != nil {
		return files, fmt.Errorf("results of an attempt before: %w", err)
	}
	for _, name := range names {
		err := l.add(ctx, name, u.onServer(name))
		if code := experiments.CodeOf(err); err != nil && (code == experiments.CodeNotFound || code == experiments.CodeConflict) {
			continue // pruned since
		}
		if err != nil {
			return files, err
		}
		files = append(files, l.files[name])
	}
	return files, nil
}

// job finds the attempt that a call is of.
func (s *Server) job(run string, attempt int) (*job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.jobs[run]
	switch {
	case j == nil:
		return nil, experiments.Errorf(experiments.CodeConflict, "no attempt of run %.64q is under way here", run)
	case j.attempt != attempt:
		return nil, fenced(run, attempt, j.attempt)
	case !j.ready:
		return nil, experiments.Errorf(experiments.CodeUnavailable, "run %s: its inputs are being hashed", run)
	}
	return j, nil
}

func (s *Server) drop(j *job) {
	s.mu.Lock()
	if s.jobs[j.run] == j {
		delete(s.jobs, j.run)
	}
	s.mu.Unlock()
	j.moves.stop()
	j.uploads.close()
}

// End ends an attempt: what its worker calls from here on is refused. Where it is not under way, nothing happens.
func (s *Server) End(run string, attempt int) {
	if j, err := s.job(run, attempt); err == nil {
		s.drop(j)
	}
}

// Complete says whether an attempt has made its last commit, which is in place then.
func (s *Server) Complete(run string, attempt int) bool {
	j, err := s.job(run, attempt)
	if err != nil {
		return false
	}
	j.committing.Lock()
	defer j.committing.Unlock()
	return j.record.Last
}

// Called is what the server calls a path of the worker's, such as a step's folder, or a model of the Hub; one that it knows
// nothing of stays.
func (s *Server) Called(run, path string) string {
	s.mu.Lock()
	j := s.jobs[run]
	s.mu.Unlock()
	if j == nil || !j.ready {
		return path
	}
	if name, ok := j.names[path]; ok {
		return name
	}
	slashed := filepath.ToSlash(path)
	for _, r := range j.results {
		if !strings.HasPrefix(r.Tree, outside+"/") {
			continue // it has one name on both sides
		}
		if rest, ok := strings.CutPrefix(slashed, r.Tree); ok && (rest == "" || rest[0] == '/' || rest[0] == '-') {
			return r.server + filepath.FromSlash(rest)
		}
	}
	return path
}

// TestSet is where the server has a test set of a job's: one that the configuration names, or a result of one of its steps.
func (s *Server) TestSet(run string, attempt int, name string) (string, error) {
	j, err := s.job(run, attempt)
	if err != nil {
		return "", err
	}
	at, ok := j.tests[tree(name)]
	if !ok {
		u, is := unitOf(j.results, tree(name))
		if err := checkPath(tree(name)); err != nil || !is {
			return "", experiments.Errorf(experiments.CodeInvalid, "%.200q is no test set of run %s", name, run)
		}
		at = u.onServer(tree(name))
		if !isFolder(u.server, true) || u.marker(u.server) == nil || !isFolder(at, true) {
			return "", experiments.Errorf(experiments.CodeInvalid, "%.200q is no test set that run %s has made here", name, run)
		}
	}
	return at, s.allowed(at)
}

// Forget removes what is kept of a run that has ended or was deleted. The results that are in place stay.
func (s *Server) Forget(ctx context.Context, run string) error {
	if !runName.MatchString(run) {
		return experiments.Errorf(experiments.CodeInvalid, "%.80q is no run", run)
	}
	s.mu.Lock()
	j := s.jobs[run]
	s.mu.Unlock()
	if j != nil {
		s.drop(j)
		j.committing.Lock()
		defer j.committing.Unlock()
	}
	if s.bucket != nil {
		if err := s.bucket.RemoveBelow(ctx, "runs/"+run, time.Now().Add(time.Hour)); err != nil {
			return err
		}
	}
	return disk.RemoveAll(s.folder(run))
}

// Collect forgets the runs that are not alive and have no attempt under way, and says how many.
func (s *Server) Collect(ctx context.Context, alive func(run string) bool) (removed int, err error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return 0, fmt.Errorf("transfer: %w", err)
	}
	for _, e := range entries {
		s.mu.Lock()
		_, under := s.jobs[e.Name()]
		s.mu.Unlock()
		if !e.IsDir() || under || alive(e.Name()) {
			continue
		}
		if err := errors.Join(ctx.Err(), s.Forget(ctx, e.Name())); err != nil {
			return removed, err
		}
		removed++
	}
	if s.bucket != nil {
		err = s.bucket.RemoveBelow(ctx, "inputs", time.Now().Add(-inputsStay))
	}
	return removed, err
}

// Offer lets an attempt get bytes that are no file.
func (s *Server) Offer(run string, attempt int, data []byte) (objects.ID, error) {
	j, err := s.job(run, attempt)
	if err != nil {
		return objects.ID{}, err
	}
	id := objects.Of(data)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.offered[id] = data
	return id, nil
}

// Take opens bytes that an attempt has put; close it.
func (s *Server) Take(ctx context.Context, run string, attempt int, id objects.ID) (io.ReadCloser, error) {
	j, err := s.job(run, attempt)
	if err != nil {
		return nil, err
	}
	return j.store.Open(ctx, id, 0)
}
