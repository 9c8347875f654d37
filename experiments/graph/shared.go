package graph

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"triality/experiments"
	"triality/runtime/disk"
)

// Shared keeps finished results of steps where others reach them, by key. A result that is not there, or not whole, is
// CodeNotFound; a store that does not answer is CodeUnavailable. It is safe for concurrent use.
type Shared interface {
	// Find gives the marker of a step's result and the folder of what is here of it: the small files, which Find fetches.
	Find(ctx context.Context, s *Planned) (m *Marker, away string, err error)
	// Preview fetches what a result has below a path, relative to the step's folder, into the folder that Find gave.
	Preview(ctx context.Context, s *Planned, rel string) error
	// Fetch puts a step's result into its folder, whole or not at all.
	Fetch(ctx context.Context, s *Planned, tell Teller) (*Marker, error)
	// Publish stores the result that a step's folder has, where the store has none.
	Publish(ctx context.Context, s *Planned) error
}

// Here is the folder of what is here of the step's result: its own, or that of the small files of one which the shared store has.
func (s *Planned) Here() string {
	if s.Away != "" {
		return s.Away
	}
	return s.Dir
}

// Told is what is said of a result that is taken over.
func (m *Marker) Told() []string {
	if m.By == "" {
		return m.Notes
	}
	took := time.Duration(m.Seconds * float64(time.Second)).Round(100 * time.Millisecond)
	return append([]string{fmt.Sprintf("from %s, finished %s, saved %v", m.By, m.FinishedAt.Local().Format(time.DateTime), took)}, m.Notes...)
}

// shares says whether a step's result is worth sharing: one that is Free is made anew each time.
func (s *Planned) shares() bool { return s.Kind.Cost != Free }

// each calls f for every step of the plan, those of variants included.
func (p *Plan) each(f func(*Planned)) {
	for _, s := range p.Steps {
		f(s)
		for _, v := range s.Variants {
			for _, one := range v.Steps {
				f(one)
			}
		}
	}
}

// looksAtOnce bounds how many keys the shared store is asked for side by side.
const looksAtOnce = 16

// look takes over what the shared store has of what is not here. A store that does not answer is said, and asked no more.
func (p *Plan) look(ctx context.Context, tell func(*Planned) Teller) {
	if p.shared == nil {
		return
	}
	var mu sync.Mutex // over silent and tell
	silent := false
	var all sync.WaitGroup
	places := make(chan struct{}, looksAtOnce)
	p.each(func(s *Planned) {
		if s.Done != nil || !s.shares() {
			return
		}
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			mu.Lock()
			stop := silent || ctx.Err() != nil
			mu.Unlock()
			if stop {
				return
			}
			m, away, err := p.shared.Find(ctx, s)
			if err == nil {
				s.Done, s.Away = m, away
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if experiments.CodeOf(err) == experiments.CodeNotFound || silent {
				return
			}
			silent = experiments.CodeOf(err) == experiments.CodeUnavailable
			tell(s).Note(err.Error() + "; it counts as not there")
		})
	})
	all.Wait()
}

// preview fetches what a step that is Free reads of results that the shared store has.
func (p *Plan) preview(ctx context.Context, s *Planned) error {
	for _, in := range s.inputs {
		from := in.input.value.from
		if from == nil || from.Away == "" || in.input.value.rel == "." {
			continue
		}
		if _, err := disk.Stat(in.input.Path()); err == nil || in.input.value.rel == MetricsName {
			continue
		}
		if err := p.shared.Preview(ctx, from, in.input.value.rel); err != nil {
			return At(in.key, err)
		}
	}
	return nil
}

// bring fetches what lies in the shared store alone and steps that are to run take. What cannot be fetched runs here.
func (x Executor) bring(ctx context.Context, p *Plan) error {
	for again := p.shared != nil; again; {
		again = false
		wanted := map[*Planned]bool{}
		p.each(func(s *Planned) {
			if s.Done != nil || !s.shares() { // one that is Free reads the small files
				return
			}
			for _, n := range s.needs {
				wanted[n] = true
			}
			for _, v := range s.Variants { // their results are handed on
				for _, one := range v.Steps {
					wanted[one] = true
				}
			}
		})
		var list []*Planned
		p.each(func(s *Planned) {
			if wanted[s] && s.Away != "" {
				list = append(list, s)
			}
		})
		for _, s := range list {
			if err := ctx.Err(); err != nil {
				return err
			}
			again = x.fetch(ctx, p, s) != nil || again
		}
	}
	return ctx.Err()
}

// fetch makes a result that is away one that is here; where that fails it is none any more.
func (x Executor) fetch(ctx context.Context, p *Plan, s *Planned) error {
	tell := x.teller(s)
	release, err := claim(ctx, s, tell.Note)
	if err == nil {
		defer release()
		if s.Done = Finished(s.Dir, s.Key); s.Done == nil {
			s.Done, err = p.shared.Fetch(ctx, s, tell)
		}
	}
	s.Away = ""
	if err != nil {
		s.Done = nil
		tell.Note(fmt.Sprintf("%s: it is not taken over: %v", s.Name, err))
	}
	return err
}

// meanwhile gives the result of a step whose folder is claimed, where another process has made it since the plan, or someone else.
func (p *Plan) meanwhile(ctx context.Context, s *Planned, tell Teller) *Marker {
	if m := Finished(s.Dir, s.Key); m != nil || p.shared == nil || !s.shares() {
		return m
	}
	m, err := p.shared.Fetch(ctx, s, tell)
	if err != nil {
		return nil // the plan said why, or it has been away for a moment
	}
	return m
}

func (x Executor) teller(s *Planned) Teller {
	if x.Tell == nil {
		return silence{}
	}
	return x.Tell(s)
}

type silence struct{}

func (silence) Progress(experiments.Progress) {}
func (silence) Note(string)                   {}

// publisher stores results one after the other, beside the run.
type publisher struct {
	list chan *Planned
	done chan struct{}
}

// publish begins; nil where nothing is shared. A store that does not answer is said, and given no more of this run: the next
// one that takes the results over gives it them.
func (x Executor) publish(ctx context.Context, p *Plan) *publisher {
	if p.shared == nil {
		return nil
	}
	total := 0
	p.each(func(*Planned) { total++ })
	pub := &publisher{make(chan *Planned, total), make(chan struct{})}
	go func() {
		defer close(pub.done)
		var failed error
		for s := range pub.list {
			if ctx.Err() != nil || experiments.CodeOf(failed) == experiments.CodeUnavailable {
				continue
			}
			if failed = p.shared.Publish(ctx, s); failed != nil && !errors.Is(failed, ctx.Err()) {
				x.teller(s).Note(fmt.Sprintf("%s is not in the shared store; the next run that takes it over tries again: %v", s.Name, failed))
			}
		}
	}()
	return pub
}

// Share stores what a plan has finished where the shared store has it not.
func (x Executor) Share(ctx context.Context, p *Plan) {
	pub := x.publish(ctx, p)
	p.each(func(s *Planned) {
		if s.Done != nil {
			pub.add(s)
		}
	})
	pub.close()
}

func (p *publisher) add(s *Planned) {
	if p != nil && s.shares() && s.Away == "" {
		p.list <- s
	}
}

// close waits until what was added is stored or refused.
func (p *publisher) close() {
	if p != nil {
		close(p.list)
		<-p.done
	}
}
