package events

import (
	"errors"
	"sync"

	"triality/experiments"
)

// Why a subscription ended.
var (
	ErrSlow   = errors.New("the watcher read too slowly and was dropped")
	ErrClosed = errors.New("the event stream was closed")
)

// Broker passes events to its subscriptions. It never waits for a reader: a subscription whose buffer
// is full is dropped. The zero value is ready.
type Broker struct {
	mu     sync.Mutex
	subs   map[*Subscription]struct{}
	closed bool
}

// Subscription receives events until it is closed or dropped.
type Subscription struct {
	broker *Broker
	runID  string
	ch     chan experiments.Event
	err    error // set before ch is closed, under broker.mu
}

// Subscribe adds a subscription that buffers up to buffer events. A run ID leaves out the events of
// other runs; events of no run always pass.
func (b *Broker) Subscribe(runID string, buffer int) *Subscription {
	s := &Subscription{broker: b, runID: runID, ch: make(chan experiments.Event, max(buffer, 1))}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		s.err = ErrClosed
		close(s.ch)
		return s
	}
	if b.subs == nil {
		b.subs = map[*Subscription]struct{}{}
	}
	b.subs[s] = struct{}{}
	return s
}

// Publish hands the events to every subscription, in order.
func (b *Broker) Publish(evs ...experiments.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ev := range evs {
		for s := range b.subs {
			if !Matches(ev, s.runID) {
				continue
			}
			select {
			case s.ch <- ev:
			default:
				b.end(s, ErrSlow)
			}
		}
	}
}

// Close ends every subscription, those to come included.
func (b *Broker) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for s := range b.subs {
		b.end(s, ErrClosed)
	}
}

// Len is the number of subscriptions.
func (b *Broker) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.subs)
}

// end needs b.mu.
func (b *Broker) end(s *Subscription, err error) {
	if _, ok := b.subs[s]; !ok {
		return
	}
	delete(b.subs, s)
	s.err = err
	close(s.ch)
}

// C gives the events; it is closed when the subscription ends, and Err then says why.
func (s *Subscription) C() <-chan experiments.Event { return s.ch }

// Err says why the subscription ended; nil while it lives.
func (s *Subscription) Err() error {
	s.broker.mu.Lock()
	defer s.broker.mu.Unlock()
	return s.err
}

// Close ends the subscription.
func (s *Subscription) Close() {
	s.broker.mu.Lock()
	defer s.broker.mu.Unlock()
	s.broker.end(s, ErrClosed)
}

// Matches says whether a watcher of runID ("" for every run) sees the event.
func Matches(ev experiments.Event, runID string) bool {
	return runID == "" || ev.RunID == "" || ev.RunID == runID
}
