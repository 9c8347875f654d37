package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"triality/experiments"
	"triality/runtime/disk"
	"triality/server/worker"
)

// Caller has the server do something for the attempt under way.
type Caller interface {
	Call(ctx context.Context, method string, args, reply any) error
}

// Courier brings a job's files to this machine and what it makes to the server.
type Courier interface {
	// Stage makes dir, the run's own folder on this machine, ready for a job and gives the job as it runs there.
	Stage(ctx context.Context, job worker.Job, dir string, server Caller) (worker.Job, Delivery, error)
}

// Delivery sends what a job makes.
type Delivery interface {
	// Watch sends what appears until ctx ends.
	Watch(ctx context.Context)
	// Before is called with each record of the run before the server gets it, so that nothing is recorded there
	// whose files are not; it gives the record as the server is to have it.
	Before(ctx context.Context, run experiments.Run) (experiments.Run, error)
}

// SharedFiles is the courier of a worker that sees the server's files under the same paths.
type SharedFiles struct{}

// Stage implements Courier.
func (SharedFiles) Stage(_ context.Context, job worker.Job, _ string, _ Caller) (worker.Job, Delivery, error) {
	return job, SharedFiles{}, nil
}

// Watch implements Delivery.
func (SharedFiles) Watch(context.Context) {}

// Before implements Delivery.
func (SharedFiles) Before(_ context.Context, run experiments.Run) (experiments.Run, error) {
	return run, nil
}

// held is an attempt that this worker has.
type held struct {
	ref
	agent *Agent
	line  *line
	// ctx ends when the job is to stop, reach when the server is to hear no more of it.
	ctx, reach   context.Context
	cancel, deaf context.CancelCauseFunc
}

// stop cancels the job, which leaves a checkpoint.
func (h *held) stop(why error) { h.cancel(why) }

// lose cancels a job that is not this worker's any more: worker.ErrFenced kills it at once.
func (h *held) lose(why error) {
	h.cancel(why)
	h.deaf(why)
}

// start begins an attempt. The caller holds mu.
func (a *Agent) start(o order) {
	h := &held{ref: o.ref, agent: a, line: &line{link: a.link, ref: o.ref}}
	h.ctx, h.cancel = context.WithCancelCause(context.Background())
	h.reach, h.deaf = context.WithCancelCause(context.Background())
	if o.Stop {
		h.stop(errStopped)
	}
	a.held[h.ref] = h
	a.ended.Go(func() {
		a.log.Info("a job begins", "run", h.Run, "attempt", h.Attempt)
		err := h.run()
		a.log.Info("a job ended", "run", h.Run, "attempt", h.Attempt, "error", err)
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.held, h.ref)
		a.over[h.ref] = true
		h.cancel(nil)
		h.deaf(nil)
	})
}

// run does the job and tells the server how it ended.
func (h *held) run() error {
	err := h.do()
	if why := context.Cause(h.ctx); errors.Is(why, errLeaving) && err != nil {
		err = &worker.Lost{Cause: fmt.Sprintf("worker %s was stopped", h.agent.opts.Name)}
	}
	if _, said := h.line.call(h.reach, methodEnd, encode(endingOf(err))); said != nil && !errors.Is(said, worker.ErrFenced) {
		err = errors.Join(err, said)
	}
	return err
}

func (h *held) do() error {
	a := h.agent
	var job worker.Job
	answer, err := h.line.call(h.ctx, methodJob, nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, &job); err != nil {
		return fmt.Errorf("the job: %w", err)
	}
	dir := filepath.Join(a.opts.Dir, h.Run)
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("the job's folder: %w", err)
	}
	a.mu.Lock()
	grace := a.timing.Grace()
	a.mu.Unlock()
	log := newJobLog()
	sent := make(chan error, 1)
	go func() { sent <- log.send(h.reach, h.line.call) }()
	err = h.process(job, dir, log, func(p *worker.Process) { p.Grace = grace })
	log.close()
	return errors.Join(err, <-sent)
}

// process stages the job and runs it.
func (h *held) process(job worker.Job, dir string, log *jobLog, with func(*worker.Process)) error {
	a := h.agent
	fmt.Fprintf(log, "on worker %s\n", a.opts.Name)
	staged, delivery, err := a.opts.Files.Stage(h.ctx, job, dir, h.line)
	if err != nil {
		if code := experiments.CodeOf(err); code == experiments.CodeInternal && h.ctx.Err() == nil {
			return &worker.Death{Cause: "its files did not arrive: " + err.Error()} // another machine, or another time, may do better
		}
		return fmt.Errorf("files of the job: %w", err)
	}
	staged.Lock = filepath.Join(a.opts.Dir, h.Run+lockSuffix)
	if staged.Lock, err = filepath.Abs(staged.Lock); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	watching, stop := context.WithCancel(h.reach)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		delivery.Watch(watching)
	}()
	defer func() {
		stop()
		<-watched
	}()
	p := a.opts.Process
	with(&p)
	return p.Run(h.ctx, staged, &distant{Tracker: worker.NewTracker(h.answer), held: h, delivery: delivery}, log)
}

// answer calls the server for the job's process.
func (h *held) answer(ctx context.Context, method string, args []byte) ([]byte, error) {
	if method == "Progress" {
		h.line.tell(method, args)
		return worker.Nothing(), nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(h.reach, func() { cancel(context.Cause(h.reach)) })()
	answer, err := h.line.call(ctx, method, args)
	if errors.Is(err, worker.ErrFenced) {
		h.lose(worker.ErrFenced)
	}
	return answer, err
}

// distant is the tracker of a job on this machine: the server's, after the files that its records speak of.
type distant struct {
	experiments.Tracker
	held     *held
	delivery Delivery
}

func (d *distant) SaveRun(ctx context.Context, run experiments.Run) error {
	run, err := d.delivery.Before(ctx, run)
	if errors.Is(err, worker.ErrFenced) {
		d.held.lose(worker.ErrFenced)
	}
	if err != nil {
		return err
	}
	return d.Tracker.SaveRun(ctx, run)
}
