package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"triality/experiments"
	"triality/server/worker"
)

// fits says whether a machine has what a job needs.
func fits(n worker.Need, i Info) bool {
	if n.Memory > 0 && i.Memory > 0 && worker.RoomOf(i.Memory) < n.Memory {
		return false
	}
	return n.Device != "cuda" && (len(i.Cards) == 0 || n.DeviceMemory == 0) || hasCard(n, i)
}

func hasCard(n worker.Need, i Info) bool {
	for _, c := range i.Cards {
		if c.Memory == 0 || c.Memory >= n.DeviceMemory {
			return true
		}
	}
	return false
}

// place is a slot of a worker.
type place struct {
	server  *Server
	worker  string
	left    bool  // given back
	written int64 // bytes of the attempt's log that were written; -1: not known
	adopted ref   // what the worker runs already
}

// Worker is the name of the worker.
func (p *place) Worker() string { return p.worker }

// Holds says whether the worker has what a job needs; of one that is gone nothing is known.
func (p *place) Holds(n worker.Need) bool {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	m := p.server.members[p.worker]
	return m == nil || m.instance == "" || fits(n, m.info)
}

// Largest is the most memory of a worker that is connected, and of a card of one, in bytes.
func (s *Server) Largest() (memory, card int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.members {
		if !s.alive(m) {
			continue
		}
		memory = max(memory, m.info.Memory)
		for _, c := range m.info.Cards {
			card = max(card, c.Memory)
		}
	}
	return memory, card
}

// Take takes a free slot of a worker that fits, or says what is waited for: busy where one fits and has none free.
func (s *Server) Take(n worker.Need) (p worker.Place, busy bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var best *member
	better := func(a, b *member) bool {
		if n.Device == "auto" && hasCard(n, a.info) != hasCard(n, b.info) {
			return hasCard(n, a.info)
		}
		if free, than := a.info.Slots-a.taken, b.info.Slots-b.taken; free != than {
			return free > than
		}
		return a.name < b.name
	}
	for _, m := range s.members {
		if !s.alive(m) || !fits(n, m.info) {
			continue
		}
		busy = true
		if m.taken < m.info.Slots && (best == nil || better(m, best)) {
			best = m
		}
	}
	if best == nil {
		return nil, busy
	}
	best.taken++
	return &place{server: s, worker: best.name}, true
}

// Adopt gives the place of an attempt that a worker ran when the process before this one ended. written is how much
// of its log is there, in bytes; -1: not known.
func (s *Server) Adopt(run string, number int, name string, written int64) worker.Place {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.members[name] == nil { // it joins again; until then nothing is known of it
		s.members[name] = &member{name: name, left: true, heard: s.now()}
	}
	s.members[name].taken++
	p := &place{server: s, worker: name, written: written, adopted: ref{run, number}}
	s.adopted[p.adopted] = name
	return p
}

// Fits says whether a worker that is connected has what a job needs, free or not.
func (s *Server) Fits(n worker.Need) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.members {
		if s.alive(m) && fits(n, m.info) {
			return true
		}
	}
	return false
}

// attempt is one that a worker has.
type attempt struct {
	ref
	worker   string
	job      worker.Job
	host     *worker.Host // settled when files is closed
	ctx      context.Context
	cancel   context.CancelFunc
	inflight sync.WaitGroup
	files    chan struct{} // closed when the worker may have the job's files, or never may

	// Under the server's mu:
	folder   string // of the worker that has begun it
	instance string // whose calls these are
	calls    *calls
	stopped  bool // the worker is to cancel it
	deadline time.Duration
	over     bool
	end      chan error // how it ended

	log struct {
		sync.Mutex
		to io.Writer
		at int64 // bytes of the worker's log that were written; -1: not known
	}
}

// Run implements worker.Place.
func (p *place) Run(ctx context.Context, job worker.Job, tracker experiments.Tracker, log io.Writer) error {
	s := p.server
	if job.Dir == "" {
		dir, err := os.Getwd() // where the paths of a job without a folder begin
		if err != nil {
			return fmt.Errorf("job %s: %w", job.RunID, err)
		}
		job.Dir = dir
	}
	job.Grace = s.timing.Grace()
	a := &attempt{ref: ref{job.RunID, job.Attempt}, worker: p.worker, job: job, end: make(chan error, 1)}
	a.ctx, a.cancel = context.WithCancel(context.WithoutCancel(ctx))
	a.host = worker.NewHost(a.ctx, job, tracker)
	a.files = make(chan struct{})
	a.log.to, a.log.at = log, p.written
	s.mu.Lock()
	a.deadline = s.now() + s.timing.GivenAway()
	s.attempts[a.Run] = a
	delete(s.adopted, p.adopted)
	s.sayLocked(p.worker)
	s.mu.Unlock()
	go s.open(a, tracker)
	var err error
	select {
	case err = <-a.end:
	case <-ctx.Done():
		s.mu.Lock()
		if errors.Is(context.Cause(ctx), worker.ErrStopping) {
			s.endLocked(a, context.Cause(ctx))
		} else if !a.over {
			a.stopped = true
			s.sayLocked(p.worker)
		}
		s.mu.Unlock()
		err = <-a.end
	}
	a.inflight.Wait() // what was begun in time is recorded before the next attempt begins
	<-a.files
	return errors.Join(err, s.close(ctx, a, err))
}

// open lets the worker have the job's files. The attempt ends with what is wrong with them.
func (s *Server) open(a *attempt, tracker experiments.Tracker) {
	defer close(a.files)
	if s.opts.Files == nil {
		return
	}
	filed, err := newFiled(a.ctx, s.opts.Files, a.job, tracker)
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.endLocked(a, err)
		return
	}
	a.host = worker.NewHost(a.ctx, a.job, filed) // nobody has asked it anything: the files come first
}

// close ends an attempt's transfer; of a run that is finished nothing more is kept of it.
func (s *Server) close(ctx context.Context, a *attempt, err error) error {
	if s.opts.Files == nil || errors.Is(err, worker.ErrStopping) {
		return nil
	}
	s.opts.Files.End(a.Run, a.Attempt)
	if err != nil {
		return nil
	}
	return s.opts.Files.Forget(context.WithoutCancel(ctx), a.Run)
}

// endLocked ends an attempt: later calls of it are fenced.
func (s *Server) endLocked(a *attempt, err error) {
	if a.over {
		return
	}
	a.over = true
	a.cancel()
	if s.attempts[a.Run] == a {
		delete(s.attempts, a.Run)
	}
	if !errors.Is(err, worker.ErrStopping) {
		s.sayLocked(a.worker)
	}
	a.end <- err
}

// Leave implements worker.Place.
func (p *place) Leave() {
	s := p.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.members[p.worker]; m != nil && !p.left {
		m.taken--
	}
	if _, waits := s.adopted[p.adopted]; waits { // it never came to it
		delete(s.adopted, p.adopted)
		s.sayLocked(p.worker)
	}
	p.left = true
}
