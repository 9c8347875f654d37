// Package jobs is the server's queue of pipeline runs. Each runs in a worker process; what waits and what
// runs survives the worker and the server, and goes on by itself in the same run.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"triality/experiments"
	"triality/experiments/pipeline"
	"triality/runtime/disk"
	"triality/server/store"
	"triality/server/worker"
)

// Worker runs one job to its end and gives the job's own error, or a *worker.Death. It cancels the job
// when ctx ends.
type Worker interface {
	Run(ctx context.Context, job worker.Job, tracker experiments.Tracker, log io.Writer) error
}

// Fleet are workers on other machines.
type Fleet interface {
	// Take takes a place that fits, where one is free; busy says that one fits and none is.
	Take(n worker.Need) (p worker.Place, busy bool)
	// Fits says whether a worker that is connected has what a job needs.
	Fits(n worker.Need) bool
	// Largest is the most memory of a worker that is connected, and of a card of one, in bytes.
	Largest() (memory, card int64)
	// Adopt gives the place of an attempt that a worker ran when the process before this one ended; from then on the
	// worker keeps it. written is how much of its log is kept, in bytes; -1: not known.
	Adopt(run string, attempt int, name string, written int64) worker.Place
}

// Queue runs submitted pipelines: those of higher priority first, else in the order of their submission.
type Queue struct {
	worker   Worker
	store    *store.Store
	log      *slog.Logger
	root     string // Options.DataRoot
	places   places
	fleet    Fleet         // nil: this machine runs everything
	planning chan struct{} // workers that plan
	plans    atomic.Int64  // plans that are made or wait
	planTime time.Duration

	mu      sync.Mutex
	waiting []*job
	running map[string]*job
	closed  bool
	looking bool           // a look at the machine's memory is due
	ended   sync.WaitGroup // workers under way
}

// job is a run in the queue.
type job struct {
	id       string
	priority int
	queued   time.Time
	needs    needs
	slots    []int        // that it runs in; none: beside them, or elsewhere
	place    worker.Place // on another machine; nil: on this one
	adopted  bool         // its attempt was under way there when this process began
	started  time.Time    // the attempt under way
	// stop ends the attempt under way, saying why; nil while the job waits.
	stop context.CancelCauseFunc
	// again is set when the run goes on although its attempt is still ending; anew is what it takes then, where a person
	// resumed it, which may be less than the attempt took.
	again bool
	anew  *needs
}

// Why an attempt is stopped.
var (
	errCancelled = errors.New("cancelled")
	errStopping  = worker.ErrStopping
)

// Options configure a queue.
type Options struct {
	Slots  int // jobs at once on the machine's cards, or without a card on its processor; 0: one to a card
	Cards  int // cards that the machine has
	Beside int // jobs of the processor alone (device: cpu) that run beside those; 0: they take a slot as others do
	// Memory says how much of the machine's memory is free; nil, and a total of 0, where nothing is known.
	Memory func() (free, total int64)
	Fleet  Fleet // workers on other machines; nil: none
	Away   bool  // only they run jobs
	// DataRoot is the folder that jobs read and write below; empty: any of the server's.
	DataRoot string
	Logger   *slog.Logger
}

// New starts a queue with the jobs that the store has waiting: see Recover.
func New(ctx context.Context, st *store.Store, w Worker, o Options) (*Queue, error) {
	if err := disk.MkdirAll(folder(st), 0o700); err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	if err := prune(ctx, st); err != nil {
		return nil, err
	}
	q := &Queue{worker: w, store: st, root: o.DataRoot, fleet: o.Fleet, log: o.Logger, running: map[string]*job{}, planning: make(chan struct{}, plansAtOnce), planTime: planTime}
	q.places = places{cards: o.Cards, slots: o.Slots, beside: o.Beside, none: o.Away, memory: o.Memory}
	if o.Slots == 0 {
		q.places.slots = max(1, o.Cards)
	}
	away, err := q.away(ctx)
	if err != nil {
		return nil, err
	}
	runs, err := allRuns(ctx, st, experiments.Queued)
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, j := range away {
		q.start(j)
	}
	for _, r := range runs {
		if r.Job != nil {
			q.add(&job{id: r.ID, priority: r.Job.Priority, queued: r.Job.QueuedAt, needs: q.places.needsOf(r.Config, r.Job)})
		}
	}
	q.fill()
	return q, nil
}

// Submit checks a configuration and queues a run of it.
func (q *Queue) Submit(ctx context.Context, s experiments.Submission) (experiments.Run, error) {
	cfg, err := pipeline.ParseSpec("config", []byte(s.Config))
	if err != nil {
		return experiments.Run{}, err
	}
	if s.Dir, err = q.within(cfg, s.Dir); err != nil {
		return experiments.Run{}, err
	}
	if s.Experiment == "" {
		experiment, err := q.store.EnsureExperiment(ctx, cfg.Name)
		if err != nil {
			return experiments.Run{}, err
		}
		s.Experiment = experiment.ID
	} else if _, err := q.store.Experiment(ctx, s.Experiment); err != nil {
		return experiments.Run{}, err
	}
	id, err := pipeline.NewRunID()
	if err != nil {
		return experiments.Run{}, err
	}
	now := time.Now().UTC()
	if s.Name == "" {
		s.Name = now.Local().Format("2006-01-02 15:04:05")
	}
	run := experiments.Run{
		ID: id, ExperimentID: s.Experiment, Name: s.Name, Status: experiments.Queued, CreatedAt: now, Config: s.Config,
		Tags: map[string]string{"kind": "pipeline"}, Job: &experiments.Job{QueuedAt: now, Dir: s.Dir, Priority: s.Priority},
	}
	if s.Book != "" {
		run.Tags[experiments.TagBook] = s.Book
	}
	if s.By != "" {
		run.Tags[experiments.TagClient] = s.By
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return experiments.Run{}, experiments.Errorf(experiments.CodeUnavailable, "%w", errStopping)
	}
	if run, err = q.store.CreateRun(ctx, run); err != nil || run.ID != id {
		return run, err // the run of an earlier request with the same idempotency key
	}
	q.add(&job{id: id, priority: s.Priority, queued: now, needs: q.places.needsOf(s.Config, nil)})
	q.fill()
	return run, nil
}

// within refuses a configuration that leaves the data root, and gives the folder in which a job's relative paths begin.
// The worker looks again, at what it opens.
func (q *Queue) within(cfg pipeline.Spec, dir string) (string, error) {
	if q.root == "" {
		return dir, nil
	}
	if dir == "" {
		dir = q.root
	}
	root, err := disk.Real(q.root)
	if err != nil {
		return dir, fmt.Errorf("data root: %w", err)
	}
	if real, err := disk.Real(dir); err != nil || !disk.Below(real, root) {
		return dir, experiments.Errorf(experiments.CodeInvalid, "the folder %s, where relative paths would begin, lies outside %s, to which this server keeps", dir, q.root)
	}
	return dir, pipeline.CheckPaths(cfg, dir, q.root)
}

// Cancel takes a waiting run out of the queue, or stops the attempt under way, which leaves a checkpoint.
func (q *Queue) Cancel(ctx context.Context, id string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	i, j := slices.IndexFunc(q.waiting, func(j *job) bool { return j.id == id }), q.running[id]
	if i >= 0 || j != nil {
		// A run whose attempt begins or ends at this moment waits as well.
		_, err := q.store.UpdateRun(ctx, id, func(r *experiments.Run) error {
			if r.Status == experiments.Queued {
				end(r, experiments.Interrupted, "cancelled while it waited")
			}
			return nil
		})
		if err != nil {
			return err
		}
		if j != nil {
			j.again = false
			j.stop(errCancelled)
			return nil
		}
		q.waiting = slices.Delete(q.waiting, i, i+1)
		return nil
	}
	run, err := q.store.Run(ctx, id)
	switch {
	case err != nil:
		return err
	case run.Status.Done():
		return experiments.Errorf(experiments.CodeConflict, "run %s has ended: it is %s", id, run.Status)
	}
	return experiments.Errorf(experiments.CodeConflict, "run %s is %s, but not by this server: %s", id, run.Status, store.EndByPatch)
}

// Resume queues an interrupted or failed run again: the same run goes on. What its steps finished is taken
// over, and a step that was cut short goes on from its newest checkpoint. A run that waits or runs is given
// as it is, so that asking twice is asking once.
func (q *Queue) Resume(ctx context.Context, id string) (experiments.Run, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	run, err := q.store.Run(ctx, id)
	if err != nil {
		return run, err
	}
	if run.Config == "" {
		return run, experiments.Errorf(experiments.CodeConflict, "run %s has no configuration: a client logged it, so only the client goes on with it", id)
	}
	switch run.Status {
	case experiments.Queued, experiments.Running:
		return run, nil
	case experiments.Interrupted, experiments.Failed:
	default:
		return run, experiments.Errorf(experiments.CodeConflict, "run %s is %s; only an interrupted or failed run resumes", id, run.Status)
	}
	cfg, err := pipeline.ParseSpec("config", []byte(run.Config))
	if err != nil {
		return run, err
	}
	if run.Job != nil {
		if _, err := q.within(cfg, run.Job.Dir); err != nil {
			return run, err
		}
	}
	if q.closed {
		return run, experiments.Errorf(experiments.CodeUnavailable, "%w", errStopping)
	}
	now := time.Now().UTC()
	run, err = q.store.UpdateRun(ctx, id, func(r *experiments.Run) error {
		if r.Job == nil {
			r.Job = &experiments.Job{Attempt: 1} // what ran it was no worker
		}
		r.Job.QueuedAt, r.Job.Reason, r.Job.Death, r.Job.Deaths, r.Job.Stuck = now, "", "", 0, 0
		r.Job.Memory, r.Job.Card, r.Job.Elsewhere = 0, 0, false // the machines may be others by now
		r.Status, r.Error, r.EndedAt = experiments.Queued, "", time.Time{}
		return nil
	})
	if err != nil {
		return run, err
	}
	if j := q.running[id]; j != nil { // its last attempt is ending
		anew := q.places.needsOf(run.Config, run.Job)
		j.again, j.anew = true, &anew
		return run, nil
	}
	q.add(&job{id: id, priority: run.Job.Priority, queued: now, needs: q.places.needsOf(run.Config, run.Job)})
	q.fill()
	return run, nil
}

// add puts a job behind those of its priority. The caller holds mu.
func (q *Queue) add(j *job) {
	i := len(q.waiting)
	for i > 0 && before(j, q.waiting[i-1]) {
		i--
	}
	q.waiting = append(q.waiting[:i], append([]*job{j}, q.waiting[i:]...)...)
}

func before(a, b *job) bool {
	if a.priority != b.priority {
		return a.priority > b.priority
	}
	return a.queued.Before(b.queued)
}

// fill starts the waiting jobs that may start. The caller holds mu.
func (q *Queue) fill() {
	for !q.closed {
		j := q.next()
		if j == nil {
			return
		}
		q.start(j)
	}
}

// Fill starts the waiting jobs that may start, since a worker has joined or has room.
func (q *Queue) Fill() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.fill()
}

// start begins an attempt where the job has a place. The caller holds mu.
func (q *Queue) start(j *job) {
	ctx, stop := context.WithCancelCause(context.Background())
	j.stop = stop
	q.running[j.id] = j
	q.ended.Go(func() {
		err := q.attempt(ctx, j)
		if err != nil {
			q.log.Warn("run ended with an error", "run", j.id, "error", err)
		}
		if j.place != nil {
			j.place.Leave()
		}
		stop(nil)
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.running, j.id)
		if j.again && !q.closed {
			next := &job{id: j.id, priority: j.priority, queued: time.Now().UTC(), needs: j.needs}
			if j.anew != nil {
				next.needs = *j.anew
			}
			q.add(next)
		}
		q.fill()
	})
}

// Close stops the jobs under way, which leave checkpoints, and waits for them. They and those that wait go
// on when a server opens the store again. What runs on other machines goes on there meanwhile, for as long as its
// worker does without the server.
func (q *Queue) Close() error {
	q.mu.Lock()
	q.closed = true
	for _, j := range q.running {
		j.stop(errStopping)
	}
	q.mu.Unlock()
	q.ended.Wait()
	return nil
}

// List gives the runs under way and those that wait, in the order in which they start.
func (q *Queue) List(ctx context.Context) ([]experiments.Run, error) {
	q.mu.Lock()
	var ids []string
	for _, j := range q.running {
		ids = append(ids, j.id)
	}
	slices.Sort(ids)
	for _, j := range q.waiting {
		ids = append(ids, j.id)
	}
	q.mu.Unlock()
	list := []experiments.Run{}
	for _, id := range ids {
		run, err := q.store.Run(ctx, id)
		if experiments.CodeOf(err) == experiments.CodeNotFound {
			continue // deleted since
		}
		if err != nil {
			return nil, err
		}
		if run.Job != nil {
			run.Job.Waits = q.Waits(ctx, id)
		}
		list = append(list, run)
	}
	return list, nil
}

// folder is where the workers' logs and locks are.
func folder(st *store.Store) string { return filepath.Join(st.Dir(), jobsDir) }

const jobsDir = "jobs"
