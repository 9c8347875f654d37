package graph

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
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
	// End says how a step that began has ended, cut when ctx ended or the run failed elsewhere before it; the ctx that End gets
	// has not ended.
	End(ctx context.Context, s *Planned, at time.Time, err error, cut bool) error
}

// Executor runs plans.
type Executor struct {
	RunID   string // kept in the markers
	Devices int    // costly steps that may run side by side, one to each; 0 is 1
	Cheap   int    // cheap steps that may run side by side, those that are taken over among them; 0: as many as there are cores
	// Tell takes what fetching from the shared store and publishing there has to say; nil: nobody hears it.
	Tell func(s *Planned) Teller
}

// Run runs a plan. A step starts when all that it takes is there; of several, the plan's first gets a free device. After
// a failure no other step starts, and those that run come to their end; when ctx ends, they are cut short. A variant whose
// values are wrong, which is a failure with CodeInvalid, is no failure of the run.
func (x Executor) Run(ctx context.Context, p *Plan, rec Recorder) error {
	if err := x.bring(ctx, p); err != nil {
		return err
	}
	s := x.schedule(p, rec)
	s.publish = x.publish(ctx, p)
	err := s.run(ctx)
	s.publish.close()
	return err
}

// step takes a finished result over or makes one.
func (x Executor) step(ctx context.Context, p *Plan, s *Planned, device int, rec Recorder, ask func(context.Context, []*Variant, func(*Variant) error) error) error {
	if s.Done == nil && (s.twin != nil || s.Variant != nil) {
		s.Done = Finished(s.Dir, s.Key)
	}
	work := Work{Step: s, Body: s.Body, Dir: s.Here(), Device: device, Run: ask}
	var err error
	if s.Done != nil {
		err = reuse(ctx, work, rec)
	} else {
		err = x.make(ctx, p, work, rec)
	}
	switch {
	case err == nil:
		return nil
	case s.Variant != nil:
		return coded(s.Variant.Asks.Name+": "+s.Variant.Name+": "+s.Name, err)
	}
	return p.graph.placed(&s.Step, err)
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
func (x Executor) make(ctx context.Context, p *Plan, w Work, rec Recorder) error {
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
			if s.Done = p.meanwhile(ctx, s, sink); s.Done != nil {
				return reuse(ctx, w, rec)
			}
		}
	}
	if err == nil && s.Kind.Cost == Free {
		err = p.preview(ctx, s)
	}
	if err == nil {
		err = s.Kind.Run(ctx, w)
	}
	at := wallclock.Now().UTC()
	if err == nil {
		err = x.finish(ctx, s, began, at, kept, rec)
	}
	return errors.Join(err, rec.End(context.WithoutCancel(ctx), s, at, err, ctx.Err() != nil || errors.Is(err, errHalted)))
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
