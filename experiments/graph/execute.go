package graph

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"triality/experiments"
	"triality/runtime/disk"
	"triality/runtime/wallclock"
)

// Recorder keeps what happens to the steps of a run. Steps that run side by side call it side by side.
type Recorder interface {
	// Begin says that a step is about to run; the sink takes what it says.
	Begin(ctx context.Context, s *Planned, at time.Time) (Sink, error)
	// Keep stores the artifacts of a result that is whole, before the marker says that it is.
	Keep(ctx context.Context, s *Planned) error
	// Reuse says that a finished result was taken over, with the metric points that were logged for it.
	Reuse(ctx context.Context, s *Planned, points experiments.MetricBatch) error
	// End says how a step that began has ended, cut when ctx ended before it; the ctx that End gets has not.
	End(ctx context.Context, s *Planned, at time.Time, err error, cut bool) error
}

// Executor runs plans.
type Executor struct {
	RunID   string // kept in the markers
	Devices int    // costly steps that may run side by side, one to each; 0 is 1
	Cheap   int    // cheap steps that may run side by side, those that are taken over among them; 0: as many as there are cores
}

// ended is a step that has come to its end on a device; −1 where it had none.
type ended struct {
	step   *Planned
	device int
	err    error
}

// Run runs a plan. A step starts when all that it takes is there; of several, the plan's first gets a free device. After
// a failure no other step starts, and those that run come to their end; when ctx ends, they are cut short.
func (x Executor) Run(ctx context.Context, p *Plan, rec Recorder) error {
	var free []int
	for d := range max(1, x.Devices) {
		free = append(free, d)
	}
	cheap := x.Cheap
	if cheap == 0 {
		cheap = runtime.GOMAXPROCS(0)
	}
	state := map[*Planned]bool{} // true: finished; false: runs
	failed := map[*Planned]error{}
	results := make(chan ended)
	running := 0
	for {
		for _, s := range p.Steps {
			if len(failed) > 0 || ctx.Err() != nil && running > 0 {
				break
			}
			if _, known := state[s]; known || slices.ContainsFunc(s.needs, func(n *Planned) bool { return !state[n] }) {
				continue
			}
			device := -1
			if s.Done == nil && s.Kind.Cost == Costly {
				if len(free) == 0 {
					continue
				}
				device, free = free[0], free[1:]
			} else if cheap == 0 {
				continue
			} else {
				cheap--
			}
			state[s] = false
			running++
			go func() { results <- ended{s, device, x.step(ctx, p, s, max(0, device), rec)} }()
		}
		if running == 0 {
			break
		}
		e := <-results
		running--
		if e.device >= 0 {
			free = append(free, e.device)
			slices.Sort(free) // the first device is open already
		} else {
			cheap++
		}
		if e.err != nil {
			failed[e.step] = e.err
		} else {
			state[e.step] = true
		}
	}
	var errs []error
	for _, s := range p.Steps {
		errs = append(errs, failed[s])
	}
	return errors.Join(errs...)
}

// step takes a finished result over or makes one.
func (x Executor) step(ctx context.Context, p *Plan, s *Planned, device int, rec Recorder) error {
	if s.Done == nil && s.twin != nil {
		s.Done = finished(s.Dir, s.Key)
	}
	work := Work{Step: s, Body: s.Body, Dir: s.Dir, Device: device}
	var err error
	if s.Done != nil {
		err = reuse(ctx, work, rec)
	} else {
		err = x.make(ctx, work, rec)
	}
	if err != nil {
		return p.graph.placed(&s.Step, err)
	}
	return nil
}

func reuse(ctx context.Context, w Work, rec Recorder) error {
	points, err := ReadMetrics(w.Dir)
	if err != nil {
		return err
	}
	if err := rec.Reuse(ctx, w.Step, points); err != nil {
		return err
	}
	if w.Step.Kind.TakeOver != nil {
		return w.Step.Kind.TakeOver(ctx, w)
	}
	return nil
}

// make runs a step and marks its folder finished.
func (x Executor) make(ctx context.Context, w Work, rec Recorder) error {
	s, began := w.Step, wallclock.Now().UTC()
	sink, err := rec.Begin(ctx, s, began)
	kept := &keeping{Sink: sink, points: experiments.MetricBatch{}}
	w.Sink = kept
	if err == nil {
		err = ctx.Err()
	}
	if err == nil && !s.Kind.OwnFolder {
		if err = disk.MkdirAll(s.Dir, 0o755); err != nil {
			err = fmt.Errorf("output_dir: %w", err)
		}
	}
	if err == nil {
		var release func()
		if release, err = claim(ctx, s, sink.Note); err == nil {
			defer release()
			if s.Done = finished(s.Dir, s.Key); s.Done != nil { // another process has made it meanwhile
				return reuse(ctx, w, rec)
			}
		}
	}
	if err == nil {
		err = s.Kind.Run(ctx, w)
	}
	at := wallclock.Now().UTC()
	if err == nil {
		err = x.finish(ctx, s, began, at, kept, rec)
	}
	return errors.Join(err, rec.End(context.WithoutCancel(ctx), s, at, err, ctx.Err() != nil))
}

// finish stores a step's metrics and artifacts and, last, the marker that makes it reusable.
func (x Executor) finish(ctx context.Context, s *Planned, began, at time.Time, kept *keeping, rec Recorder) error {
	if len(kept.points) > 0 {
		if err := writeMetrics(s.Dir, kept.points); err != nil {
			return err
		}
	}
	if err := rec.Keep(ctx, s); err != nil {
		return err
	}
	m := Marker{
		Kind: s.Kind.Name, Key: s.Key, RunID: x.RunID, FinishedAt: at,
		Seconds: at.Sub(began).Seconds(), Outputs: s.Files, Notes: kept.notes,
	}
	if err := WriteJSON(filepath.Join(s.Dir, MarkerName), m); err != nil {
		return err
	}
	if s.Kind.Checkpoints == "" {
		return nil
	}
	return disk.RemoveAll(filepath.Join(s.Dir, s.Kind.Checkpoints))
}

// keeping is a sink that keeps what runs which take the result over will want.
type keeping struct {
	Sink
	points experiments.MetricBatch
	notes  []string
}

func (k *keeping) Metrics(batch experiments.MetricBatch) error {
	for name, points := range batch {
		k.points[name] = append(k.points[name], points...)
	}
	return k.Sink.Metrics(batch)
}

func (k *keeping) Note(text string) {
	k.notes = append(k.notes, text)
	k.Sink.Note(text)
}
