package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"triality/experiments"
	"triality/server/transfer"
	"triality/server/worker"
)

// Caller has the server do something for the attempt under way.
type Caller = transfer.Caller

// Courier brings a job's files to this machine and what it makes to the server.
type Courier interface {
	// Clean removes what jobs of an earlier process left here, but that of the runs to keep.
	Clean(keep func(run string) bool) error
	// Stage makes a folder of this machine ready for a job and gives the job as it runs there.
	Stage(ctx context.Context, job worker.Job, server Caller, log io.Writer) (worker.Job, Delivery, error)
}

// Delivery sends what a job makes.
type Delivery interface {
	// Watch sends what appears until ctx ends, or the server wants no more of it.
	Watch(ctx context.Context) error
	// Before is called with each record of the run before the server gets it, so that nothing is recorded there
	// whose files are not.
	Before(ctx context.Context, run experiments.Run) error
	// After is called when the job's process has ended, and once more, with over set, when the server knows.
	After(ctx context.Context, over bool) error
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

// card takes the card of this machine that the fewest jobs have, of those with the memory that is needed where there are
// such.
func (a *Agent) card(need int64) (card int, release func(), ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.opts.Info.Cards) == 0 {
		return 0, nil, false
	}
	holds := func(i int) bool { m := a.opts.Info.Cards[i].Memory; return m == 0 || m >= need }
	for i := range a.opts.Info.Cards {
		if holds(i) && (!holds(card) || a.cards[i] < a.cards[card]) {
			card = i
		}
	}
	a.cards[card]++
	return card, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.cards[card]--
	}, true
}

// run does the job and tells the server how it ended.
func (h *held) run() error {
	delivery, err := h.do()
	if why := context.Cause(h.ctx); errors.Is(why, errLeaving) && err != nil {
		err = &worker.Lost{Cause: fmt.Sprintf("worker %s was stopped", h.agent.opts.Name)}
	}
	_, said := h.line.call(h.reach, methodEnd, encode(endingOf(err)))
	switch {
	case errors.Is(said, worker.ErrFenced): // the server knew
	case said != nil:
		return errors.Join(err, said)
	case delivery != nil:
		err = errors.Join(err, delivery.After(h.reach, true))
	}
	return err
}

func (h *held) do() (Delivery, error) {
	var job worker.Job
	answer, err := h.line.call(h.ctx, methodJob, nil)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(answer, &job); err != nil {
		return nil, fmt.Errorf("the job: %w", err)
	}
	log := newJobLog()
	sent := make(chan error, 1)
	go func() { sent <- log.send(h.reach, h.line.call) }()
	delivery, err := h.process(job, log)
	log.close()
	return delivery, errors.Join(err, <-sent)
}

// process brings the job's files here, runs it, and brings back what it made.
func (h *held) process(job worker.Job, log *jobLog) (Delivery, error) {
	a := h.agent
	fmt.Fprintf(log, "on worker %s\n", a.opts.Name)
	staged, delivery, err := a.opts.Files.Stage(h.ctx, job, h, log)
	if err != nil {
		if code := experiments.CodeOf(err); code == experiments.CodeInternal && h.ctx.Err() == nil {
			return nil, &worker.Death{Cause: "its files did not arrive: " + err.Error()} // another machine, or another time, may do better
		}
		return nil, fmt.Errorf("files of the job: %w", err)
	}
	if card, release, ok := a.card(job.Card); ok {
		defer release()
		staged.Devices = []int{card}
	}
	staged.Lock = filepath.Join(a.opts.Dir, h.Run+lockSuffix)
	watching, stop := context.WithCancel(h.reach)
	watched := make(chan error, 1)
	go func() {
		err := delivery.Watch(watching)
		if err != nil && watching.Err() == nil {
			h.stop(err) // its results are not wanted, or cannot be sent
		}
		watched <- err
	}()
	p := a.opts.Process
	a.mu.Lock()
	p.Grace, p.Left, staged.Ahead = a.timing.Grace(), a.left, a.ahead
	a.mu.Unlock()
	err = p.Run(h.ctx, staged, &distant{worker.NewTracker(h.answer), delivery}, log)
	stop()
	return delivery, errors.Join(err, <-watched, delivery.After(h.reach, false))
}

// Call implements Caller.
func (h *held) Call(ctx context.Context, method string, args, reply any) error {
	body, err := transfer.Marshal(args)
	if err != nil {
		return err
	}
	answer, err := h.answer(ctx, prefixFiles+method, body)
	if err != nil {
		return final(err)
	}
	return transfer.Unmarshal(answer, reply)
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
	worker.Tracker
	delivery Delivery
}

func (d *distant) SaveRun(ctx context.Context, run experiments.Run) error {
	if err := d.delivery.Before(ctx, run); err != nil {
		return err
	}
	return d.Tracker.SaveRun(ctx, run)
}
