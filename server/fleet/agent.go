package fleet

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"triality/experiments"
	"triality/runtime/atomicfile"
	"triality/runtime/disk"
	"triality/runtime/filelock"
	"triality/runtime/uptime"
	"triality/server/worker"
)

// Agent is the worker's side: it takes jobs and runs each in a process of its own.
type Agent struct {
	opts   AgentOptions
	log    *slog.Logger
	now    func() time.Duration
	wall   func() time.Time // of day
	folder string           // that its Dir is known by
	link   *link
	kv     jetstream.KeyValue

	mu       sync.Mutex
	timing   Timing
	renewed  time.Duration // when the last renewal that was answered was sent, on this machine's clock
	ahead    time.Duration // of the server's time of day, of this machine's
	held     map[ref]*held
	cards    map[int]int  // jobs on each card
	over     map[ref]bool // ended here, and perhaps still among the orders
	revision uint64       // of the orders that were taken last
	leaving  bool
	ended    sync.WaitGroup
}

// AgentOptions configure a worker.
type AgentOptions struct {
	Access  Access
	Name    string
	Dir     string // that this worker alone uses
	Info    Info
	Process worker.Process // how a job's process is started
	Files   Courier
	Logger  *slog.Logger
}

// Why a job is stopped here.
var (
	errStopped = errors.New("the server asked for it")
	errLeaving = errors.New("the worker was stopped")
	errLapsed  = errors.New("the server was out of reach for longer than the lease")
)

// NewAgent makes a worker; Run runs it.
func NewAgent(o AgentOptions) (*Agent, error) {
	if err := CheckName(o.Name); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Agent{opts: o, log: o.Logger, now: uptime.Now, wall: time.Now, held: map[ref]*held{}, over: map[ref]bool{}, cards: map[int]int{}}, nil
}

// Run works until ctx ends, and then gives back what it runs, each job with a checkpoint; or until the server wants it
// no more: a *Refused.
func (a *Agent) Run(ctx context.Context) error {
	release, err := a.claim(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := a.opts.Files.Clean(func(string) bool { return false }); err != nil {
		return err
	}
	a.link, err = dial(ctx, a.opts.Access, a.opts.Name, 2*time.Second, func(err error) {
		a.log.Info("the server is not reached yet", "url", a.opts.Access.URL, "error", err)
	})
	if err != nil {
		return err
	}
	defer a.link.conn.Close()
	for told := false; ; {
		err := a.join(ctx)
		var refused *Refused
		if err == nil {
			break
		}
		if errors.As(err, &refused) || ctx.Err() != nil {
			return err
		}
		if !told {
			a.log.Info("NATS is reached, and no server answers yet", "url", a.opts.Access.URL, "error", err)
			told = true
		}
		select {
		case err := <-a.link.refused:
			return err
		case <-time.After(300 * time.Millisecond):
		}
	}
	js, err := jetstream.New(a.link.conn)
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	a.log.Info("joined", "server", a.opts.Access.URL, "name", a.opts.Name, "slots", a.opts.Info.Slots, "lease", a.timing.Lease)
	return a.work(ctx, js)
}

// work takes jobs until ctx ends or the server refuses.
func (a *Agent) work(ctx context.Context, js jetstream.JetStream) error {
	alive, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	var loops sync.WaitGroup
	loops.Go(func() { stop(a.keepRenewing(alive)) })
	loops.Go(func() { a.keepWatch(alive) })
	loops.Go(func() { a.follow(alive, js) })
	var end error
	select {
	case <-ctx.Done():
	case end = <-a.link.refused:
	case <-alive.Done():
		end = context.Cause(alive)
	}
	a.mu.Lock()
	a.leaving = true
	for _, h := range a.held {
		if end != nil {
			h.lose(worker.ErrFenced)
		} else {
			h.stop(errLeaving)
		}
	}
	a.mu.Unlock()
	a.ended.Wait() // the renewing goes on meanwhile, so that the lease holds
	stop(nil)
	loops.Wait()
	if end == nil {
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		// Where it is not heard, the lease lapses.
		_ = a.link.ask(bye, verbRenew, renewal{Instance: a.link.instance, Leaving: true}, &renewed{})
	}
	return end
}

// claim takes the worker's folder, and waits until the jobs of a process that was there before are gone.
func (a *Agent) claim(ctx context.Context) (release func(), err error) {
	if err := disk.MkdirAll(a.opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	path := filepath.Join(a.opts.Dir, "worker.lock")
	unlock, err := filelock.Try(path)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w; use a folder whose file system has locks", path, err)
	}
	if unlock == nil {
		return nil, experiments.Errorf(experiments.CodeUnavailable, "%s: another worker uses it; give --dir", a.opts.Dir)
	}
	defer func() {
		if err != nil {
			unlock()
		}
	}()
	id := filepath.Join(a.opts.Dir, "worker.id")
	text, err := os.ReadFile(id)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(text) == 0 {
		text = []byte(rand.Text())
		err = atomicfile.WriteFile(id, 0o600, func(w io.Writer) error {
			_, err := w.Write(text)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	a.folder = strings.TrimSpace(string(text))
	locks, err := filepath.Glob(filepath.Join(a.opts.Dir, "*"+lockSuffix))
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	for _, path := range locks {
		for {
			free, err := filelock.Try(path)
			if err != nil {
				return nil, fmt.Errorf("lock %s: %w", path, err)
			}
			if free != nil {
				free()
				break
			}
			if err := pause(ctx, 50*time.Millisecond); err != nil {
				return nil, err
			}
		}
	}
	return unlock, nil
}

// lockSuffix ends the name of the file that a run's process holds.
const lockSuffix = ".job.lock"

func (a *Agent) heldRefs() []ref {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := []ref{}
	for r := range a.held {
		list = append(list, r)
	}
	return list
}

// join says what the worker has and runs.
func (a *Agent) join(ctx context.Context) error {
	sent, day := a.now(), a.wall()
	var w welcome
	if err := a.link.ask(ctx, verbJoin, joining{Instance: a.link.instance, Folder: a.folder, Info: a.opts.Info, Held: a.heldRefs()}, &w); err != nil {
		return err
	}
	if w.Refused != "" {
		return &Refused{Why: w.Refused}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.timing, a.renewed = Timing{w.Lease}, sent
	a.setClockLocked(w.Clock, day, a.now()-sent)
	return nil
}

// setClockLocked takes how far the server's time of day is ahead: what it was between the question and its answer.
func (a *Agent) setClockLocked(server, asked time.Time, took time.Duration) {
	a.ahead = server.Round(0).Sub(asked.Round(0)) - took/2
}

// keepRenewing renews the lease until ctx ends or the server refuses.
func (a *Agent) keepRenewing(ctx context.Context) error {
	for {
		a.mu.Lock()
		every := a.timing.Every()
		a.mu.Unlock()
		if pause(ctx, every) != nil {
			return nil
		}
		var refused *Refused
		if err := a.renew(ctx); errors.As(err, &refused) {
			return err
		}
	}
}

func (a *Agent) renew(ctx context.Context) error {
	sent, day := a.now(), a.wall()
	var r renewed
	if err := a.link.ask(ctx, verbRenew, renewal{Instance: a.link.instance, Held: a.heldRefs()}, &r); err != nil {
		return err
	}
	switch {
	case r.Refused != "":
		return &Refused{Why: r.Refused}
	case r.Unknown:
		return a.join(ctx)
	}
	a.mu.Lock()
	a.renewed = sent
	a.setClockLocked(r.Clock, day, a.now()-sent)
	for _, ref := range r.Fenced {
		if h := a.held[ref]; h != nil {
			h.lose(worker.ErrFenced)
		}
	}
	behind, kv := r.Revision > a.revision, a.kv
	a.mu.Unlock()
	if behind && kv != nil { // what the watch was to bring has not come
		if e, err := kv.Get(ctx, a.opts.Name); err == nil {
			a.take(e.Revision(), e.Value())
		}
	}
	return nil
}

// left is for how long the worker may go on with its jobs unless it hears of the server.
func (a *Agent) left() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.timing.Lease - (a.now() - a.renewed)
}

// keepWatch stops the jobs when the lease has lapsed.
func (a *Agent) keepWatch(ctx context.Context) {
	for pause(ctx, 50*time.Millisecond) == nil {
		if a.left() >= 0 {
			continue
		}
		a.mu.Lock()
		for _, h := range a.held {
			h.lose(errLapsed)
		}
		a.mu.Unlock()
	}
}

// follow takes the worker's orders as they change.
func (a *Agent) follow(ctx context.Context, js jetstream.JetStream) {
	for ctx.Err() == nil {
		kv, err := js.KeyValue(ctx, bucket)
		if err == nil {
			a.mu.Lock()
			a.kv = kv
			a.mu.Unlock()
			err = a.watchOrders(ctx, kv)
		}
		if err != nil {
			a.log.Debug("orders are not followed; trying again", "error", err)
		}
		_ = pause(ctx, 300*time.Millisecond)
	}
}

func (a *Agent) watchOrders(ctx context.Context, kv jetstream.KeyValue) error {
	w, err := kv.Watch(ctx, a.opts.Name)
	if err != nil {
		return err
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-w.Updates():
			if !ok {
				return errors.New("the watch ended")
			}
			if e != nil && e.Operation() == jetstream.KeyValuePut {
				a.take(e.Revision(), e.Value())
			}
		}
	}
}

// take starts and stops jobs as the orders say.
func (a *Agent) take(revision uint64, value []byte) {
	var o orders
	if err := json.Unmarshal(value, &o); err != nil {
		a.log.Error("orders are not understood", "error", err)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if revision <= a.revision {
		return // older than what is known
	}
	a.revision = revision
	for ref, h := range a.held {
		i := slices.IndexFunc(o.Jobs, func(o order) bool { return o.ref == ref })
		switch {
		case i < 0:
			h.lose(worker.ErrFenced)
		case o.Jobs[i].Stop:
			h.stop(errStopped)
		}
	}
	for ref := range a.over {
		if !slices.ContainsFunc(o.Jobs, func(o order) bool { return o.ref == ref }) {
			delete(a.over, ref)
		}
	}
	for _, j := range o.Jobs {
		if a.held[j.ref] == nil && !a.over[j.ref] && !a.leaving {
			a.start(j)
		}
	}
}
