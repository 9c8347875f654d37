package fleet

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"triality/experiments"
	"triality/runtime/uptime"
	"triality/server/transfer"
	"triality/server/worker"
)

// Options configure a server of workers.
type Options struct {
	Data    string // data folder
	Address string // HOST:PORT to listen on, or nats://… or tls://… of servers that are there
	// Of an own NATS server: its certificate; nil: one that it makes itself.
	Certificate *tls.Certificate
	// Of NATS servers that are there: what to connect with, beside what the address says, and how many of them keep the
	// workers' orders; 0: three where there are as many, else one.
	NATS     []nats.Option
	Replicas int

	Version, Engine string
	Lease           time.Duration    // 0: DefaultLease
	Files           *transfer.Server // nil: workers see the files of this machine under the same paths, as those of tests do
	Logger          *slog.Logger
}

// Server hands jobs out to workers.
type Server struct {
	opts   Options
	timing Timing
	log    *slog.Logger
	now    func() time.Duration
	broker *broker // nil: the NATS server is another's
	conn   *nats.Conn
	kv     jetstream.KeyValue
	subs   []*nats.Subscription
	stop   context.CancelFunc
	ended  sync.WaitGroup
	busy   chan struct{} // a place for each message being answered
	denied chan error    // what NATS does not let this server do

	mu       sync.Mutex
	members  map[string]*member
	attempts map[string]*attempt // by run
	adopted  map[ref]string      // workers that run an attempt of which this process has yet to take note
	unsaid   map[string]bool     // workers whose key is to be written
	saying   chan struct{}
	revision map[string]uint64
	changed  func() // told when there may be room for a job
}

// outside says whether an address names servers that are there.
func outside(address string) bool { return strings.Contains(address, "://") }

// Open connects to NATS, its own or another's. Nothing is answered before Serve.
func Open(ctx context.Context, o Options) (_ *Server, err error) {
	if o.Lease == 0 {
		o.Lease = DefaultLease
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		opts: o, timing: Timing{o.Lease}, log: o.Logger, now: uptime.Now, busy: make(chan struct{}, 1024), denied: make(chan error, 1),
		members: map[string]*member{}, attempts: map[string]*attempt{}, adopted: map[ref]string{}, unsaid: map[string]bool{}, saying: make(chan struct{}, 1),
		revision: map[string]uint64{}, changed: func() {},
	}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	url, with := o.Address, o.NATS
	if !outside(o.Address) {
		tokens, err := OpenTokens(o.Data)
		if err != nil {
			return nil, err
		}
		if s.broker, err = openBroker(o.Data, o.Address, o.Certificate, tokens, o.Logger); err != nil {
			return nil, err
		}
		s.broker.gate.setHeld(s.connected)
		url, with = "", s.broker.options()
	}
	s.conn, err = nats.Connect(url, append([]nats.Option{
		nats.Name("triality server"), nats.MaxReconnects(-1), nats.ReconnectWait(500 * time.Millisecond), nats.ReconnectBufSize(-1),
		nats.PingInterval(o.Lease / 6), nats.MaxPingsOutstanding(2), nats.ErrorHandler(s.asyncError),
	}, with...)...)
	if err != nil {
		return nil, experiments.Errorf(experiments.CodeUnavailable, "workers: NATS at %s: %w", o.Address, err)
	}
	if err := s.openBucket(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Address is where workers join.
func (s *Server) Address() string {
	if s.broker == nil {
		return s.opts.Address
	}
	return "nats://" + s.broker.address()
}

// Serve begins to answer workers; attempts of a process before were adopted by then. changed is called, without a
// lock of the server's, when there may be room for a job. Close ends it.
func (s *Server) Serve(ctx context.Context, changed func()) error {
	s.mu.Lock()
	s.changed = changed
	s.mu.Unlock()
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	var keys []string
	err := s.unless(ctx, func(ctx context.Context) (err error) {
		keys, err = s.kv.Keys(ctx)
		return err
	})
	if err != nil && !errors.Is(err, jetstream.ErrNoKeysFound) {
		return experiments.Errorf(experiments.CodeUnavailable, "workers: keys of %s: %w", bucket, err)
	}
	for _, worker := range keys {
		s.say(worker) // what a process before it left there
	}
	s.ended.Go(func() { s.tell(ctx) })
	s.ended.Go(func() { s.watch(ctx) })
	for verb, answer := range map[string]func(worker string, m *nats.Msg){
		verbJoin: s.join, verbRenew: s.renew, verbCall: s.called, verbTell: s.called,
	} {
		sub, err := s.conn.Subscribe(subject("*", verb), func(m *nats.Msg) {
			worker, _, _ := strings.Cut(strings.TrimPrefix(m.Subject, subjectPrefix), ".")
			// A worker chooses where the answer goes: not where it may not write itself.
			if m.Reply != "" && !strings.HasPrefix(m.Reply, inboxPrefix(worker)+".") {
				s.log.Warn("workers: a message that wants its answer elsewhere than to its worker is left out", "worker", worker, "reply", m.Reply)
				return
			}
			s.busy <- struct{}{}
			go func() {
				defer func() { <-s.busy }()
				answer(worker, m)
			}()
		})
		if err != nil {
			return fmt.Errorf("workers: %w", err)
		}
		s.subs = append(s.subs, sub)
	}
	if err := s.probe(ctx); err != nil {
		return experiments.Errorf(experiments.CodeUnavailable, "workers: NATS at %s: %w", s.opts.Address, err)
	}
	return nil
}

// Close ends the answering. Workers go on with what they run until their lease lapses, and beyond it where a server
// is back by then.
func (s *Server) Close() error {
	var err error
	for _, sub := range s.subs {
		err = errors.Join(err, sub.Unsubscribe())
	}
	if s.stop != nil {
		s.stop()
		s.ended.Wait()
	}
	if s.conn != nil {
		s.conn.Close()
	}
	if s.broker != nil {
		s.broker.close()
	}
	return err
}

// say has a worker's key written soon.
func (s *Server) say(worker string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sayLocked(worker)
}

func (s *Server) sayLocked(worker string) {
	s.unsaid[worker] = true
	select {
	case s.saying <- struct{}{}:
	default:
	}
}

// tell writes workers' keys until ctx ends. What could not be written is written when NATS is back: it is what holds
// then, and nothing of what held between.
func (s *Server) tell(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.saying:
		}
		for {
			s.mu.Lock()
			var worker string
			var value orders
			for worker = range s.unsaid {
				value = s.ordersOf(worker)
				delete(s.unsaid, worker)
				break
			}
			s.mu.Unlock()
			if worker == "" {
				break
			}
			try, cancel := context.WithTimeout(ctx, max(s.timing.Every(), time.Second))
			revision, err := s.kv.Put(try, worker, encode(value))
			cancel()
			if err != nil {
				if ctx.Err() != nil {
					return
				}
				s.log.Warn("a worker's orders are not written yet", "worker", worker, "error", err)
				s.say(worker)
				time.Sleep(200 * time.Millisecond)
				continue
			}
			s.mu.Lock()
			s.revision[worker] = revision
			s.mu.Unlock()
		}
	}
}

func (s *Server) ordersOf(worker string) orders {
	value := orders{Jobs: []order{}}
	for _, a := range s.attempts {
		if a.worker == worker {
			value.Jobs = append(value.Jobs, order{ref: a.ref, Stop: a.stopped})
		}
	}
	for r, by := range s.adopted {
		if by == worker {
			value.Jobs = append(value.Jobs, order{ref: r})
		}
	}
	return value
}

// watch gives away what workers hold that were not heard of for too long.
func (s *Server) watch(ctx context.Context) {
	tick := time.NewTicker(max(s.timing.Lease/20, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.mu.Lock()
		now, room := s.now(), false
		for _, a := range s.attempts {
			if now >= a.deadline {
				s.endLocked(a, &worker.Lost{Cause: fmt.Sprintf("worker %s was not heard of for %v", a.worker, s.timing.GivenAway())})
			}
		}
		for _, m := range s.members {
			if alive := s.alive(m); alive != m.alive {
				m.alive, room = alive, true
				s.log.Info("worker", "name", m.name, "connected", alive)
			}
		}
		changed := s.changed
		s.mu.Unlock()
		if room {
			changed()
		}
	}
}

// reply answers a message with JSON.
func (s *Server) reply(m *nats.Msg, v any) {
	if err := m.Respond(encode(v)); err != nil {
		s.log.Debug("workers: answer", "error", err) // the worker asks again
	}
}

func decode(m *nats.Msg, v any) error {
	if err := json.Unmarshal(m.Data, v); err != nil {
		return experiments.Errorf(experiments.CodeInvalid, "message on %s: %w", m.Subject, err)
	}
	return nil
}
