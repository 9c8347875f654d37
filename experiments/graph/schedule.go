package graph

import (
	"context"
	"errors"
	"runtime"
	"slices"

	"triality/experiments"
)

// ended is a step that has come to its end, and what it had meanwhile.
type ended struct {
	step   *Planned
	device int // −1: none
	cheap  bool
	err    error
}

// ask is a step's wish for some of its variants.
type ask struct {
	left  []*Variant // that have not ended
	ended func(*Variant) error
	stop  error         // of ended: no more of them are to start
	done  chan struct{} // closed when none is left, or when no more of them start
	err   error         // why no more of them start; set before done is closed
}

// errHalted ends a step that waits for its variants when the run has failed elsewhere.
var errHalted = errors.New("stopped: another step has failed")

// schedule is a plan under way.
type schedule struct {
	Executor
	plan    *Plan
	rec     Recorder
	publish *publisher // nil: nothing is shared

	free    []int // devices
	cheap   int   // cheap steps that may start
	state   map[*Planned]bool
	failed  map[*Planned]error
	running int
	results chan ended
	asks    chan *ask
	open    []*ask
}

func (x Executor) schedule(p *Plan, rec Recorder) *schedule {
	s := &schedule{
		Executor: x, plan: p, rec: rec, cheap: x.Cheap, state: map[*Planned]bool{}, failed: map[*Planned]error{},
		results: make(chan ended), asks: make(chan *ask),
	}
	for d := range max(1, x.Devices) {
		s.free = append(s.free, d)
	}
	if s.cheap == 0 {
		s.cheap = runtime.GOMAXPROCS(0)
	}
	return s
}

// run runs it to its end.
func (s *schedule) run(ctx context.Context) error {
	for {
		s.start(ctx)
		s.settle(ctx)
		if s.running == 0 {
			break
		}
		select {
		case a := <-s.asks:
			s.open = append(s.open, a)
		case e := <-s.results:
			s.take(ctx, e)
		}
	}
	var errs []error
	for _, step := range s.plan.Steps {
		errs = append(errs, s.failed[step])
		for _, v := range step.Variants {
			for _, one := range v.Steps {
				errs = append(errs, s.failed[one])
			}
		}
	}
	return errors.Join(errs...)
}

// start starts every step whose turn it is: the plan's, and those that are asked for.
func (s *schedule) start(ctx context.Context) {
	for _, step := range s.plan.Steps {
		if len(s.failed) > 0 || ctx.Err() != nil && s.running > 0 {
			return
		}
		s.begin(ctx, step)
	}
	for _, a := range s.open {
		if a.stop != nil {
			continue
		}
		for _, v := range a.left {
			for _, step := range v.Steps {
				if ctx.Err() != nil {
					return
				}
				s.begin(ctx, step)
			}
		}
	}
}

// begin starts a step, where nothing keeps it from it.
func (s *schedule) begin(ctx context.Context, step *Planned) {
	if _, known := s.state[step]; known || slices.ContainsFunc(step.needs, func(n *Planned) bool { return !s.state[n] }) {
		return
	}
	e := ended{step: step, device: -1}
	switch {
	case step.Done == nil && step.Variants != nil: // it waits for others, and takes no place of theirs
	case step.Done == nil && step.Kind.Cost == Costly:
		if len(s.free) == 0 {
			return
		}
		e.device, s.free = s.free[0], s.free[1:]
	case s.cheap == 0:
		return
	default:
		e.cheap = true
		s.cheap--
	}
	s.state[step] = false
	s.running++
	go func() {
		e.err = s.step(ctx, s.plan, step, max(0, e.device), s.rec, s.ask)
		s.results <- e
	}()
}

// take takes in how a step has ended.
func (s *schedule) take(ctx context.Context, e ended) {
	s.running--
	if e.device >= 0 {
		s.free = append(s.free, e.device)
		slices.Sort(s.free) // the first device is open already
	}
	if e.cheap {
		s.cheap++
	}
	switch {
	case e.err == nil:
		s.state[e.step] = true
		s.publish.add(e.step)
	case errors.Is(e.err, errHalted): // what has failed says it
	case e.step.Variant != nil && ctx.Err() == nil && experiments.CodeOf(e.err) == experiments.CodeInvalid:
		e.step.Variant.err = e.err // its values are wrong, and would be again
	default:
		s.failed[e.step] = e.err
	}
}

// settle answers those who wait for variants that have ended, or that will not run any more.
func (s *schedule) settle(ctx context.Context) {
	s.open = slices.DeleteFunc(s.open, func(a *ask) bool {
		under := false
		a.left = slices.DeleteFunc(a.left, func(v *Variant) bool {
			over := v.err != nil || s.state[v.Last()]
			for _, step := range v.Steps {
				if finished, known := s.state[step]; known && !finished && s.failed[step] == nil && v.err == nil {
					under = true
				}
			}
			if over && a.stop == nil {
				a.stop = a.ended(v)
			}
			return over
		})
		switch {
		case len(a.left) == 0:
			a.err = a.stop
		case under || ctx.Err() == nil && len(s.failed) == 0 && a.stop == nil:
			return false
		case a.stop != nil:
			a.err = a.stop
		case ctx.Err() != nil:
			a.err = ctx.Err()
		default:
			a.err = errHalted
		}
		close(a.done)
		return true
	})
}

// ask is Work.Run.
func (s *schedule) ask(ctx context.Context, list []*Variant, ended func(*Variant) error) error {
	a := &ask{left: slices.Clone(list), ended: ended, done: make(chan struct{})}
	select {
	case s.asks <- a:
		<-a.done
		return a.err
	case <-ctx.Done():
		return ctx.Err()
	}
}
