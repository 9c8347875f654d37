package events

import (
	"errors"
	"sync"
	"time"

	"triality/experiments"
)

// Why a subscription ended.
var (
	ErrSlow   = errors.New("the watcher read too slowly and was dropped")
	ErrClosed = errors.New("the event stream was closed")
)

// How watchers are woken: a few at a time, so that thousands of them do not stand before the writer in
// the scheduler's queue.
const (
	wakeAtOnce = 20
	wakeEvery  = 2 * time.Millisecond
)

// Limits of the events that a Broker keeps for its subscriptions, all of them together.
type Limits struct {
	Events int // 4,096
	Bytes  int // 8 MiB
}

// Broker passes events to its subscriptions. All read from the same short list of the newest events, so
// publishing costs the same for one and for thousands, and a reader that stands still holds nothing. A
// subscription whose next event is no longer in the list is dropped. The zero value is ready.
type Broker struct {
	Limits Limits // set before the first use

	mu      sync.RWMutex
	list    []experiments.Event
	first   uint64 // number of the list's first event, counted from the first published
	bytes   int
	subs    []*Subscription
	closed  bool
	dropped int64

	waking bool // a wake-up is due
	turn   int  // index of the subscription that is woken next
	left   int  // how many are to be looked at until all were
}

// Subscription receives events until it is closed or dropped. One goroutine may use it.
type Subscription struct {
	broker *Broker
	runID  string
	next   uint64 // number of the first event that was not taken; changed by Take, or under broker.mu
	wake   chan struct{}
	err    error // under broker.mu
	at     int   // its index in broker.subs, under broker.mu; -1 when it ended
}

func (l Limits) withDefaults() Limits {
	if l.Events <= 0 {
		l.Events = 4096
	}
	if l.Bytes <= 0 {
		l.Bytes = 8 << 20
	}
	return l
}

// Subscribe adds a subscription to what is published from now on. A run ID leaves out the events of
// other runs; events of no run always pass.
func (b *Broker) Subscribe(runID string) *Subscription {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &Subscription{broker: b, runID: runID, next: b.first + uint64(len(b.list)), wake: make(chan struct{}, 1), at: -1}
	if b.closed {
		s.err = ErrClosed
		s.wake <- struct{}{}
		return s
	}
	s.at = len(b.subs)
	b.subs = append(b.subs, s)
	return s
}

// Publish adds events for every subscription, in order. It waits for no reader.
func (b *Broker) Publish(evs ...experiments.Event) {
	if len(evs) == 0 {
		return
	}
	limits := b.Limits.withDefaults()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ev := range evs {
		b.list = append(b.list, ev)
		b.bytes += size(ev)
	}
	drop := 0
	for drop < len(b.list) && (len(b.list)-drop > limits.Events || b.bytes > limits.Bytes) {
		b.bytes -= size(b.list[drop])
		b.list[drop] = experiments.Event{} // the array behind the list lives on
		drop++
	}
	b.list, b.first = b.list[drop:], b.first+uint64(drop)
	b.left = len(b.subs)
	if !b.waking && b.left > 0 {
		b.waking = true
		time.AfterFunc(0, b.wakeSome)
	}
}

func size(ev experiments.Event) int { return len(ev.Data) + len(ev.RunID) + 64 }

// wakeSome wakes the next subscriptions that have something to take.
func (b *Broker) wakeSome() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for woken := 0; woken < wakeAtOnce && b.left > 0 && len(b.subs) > 0; b.left-- {
		b.turn = (b.turn + 1) % len(b.subs)
		s := b.subs[b.turn]
		if s.runID != "" && !b.has(s) {
			continue
		}
		select {
		case s.wake <- struct{}{}:
			woken++
		default: // it was told and has not looked yet
		}
	}
	if b.waking = b.left > 0 && len(b.subs) > 0; b.waking {
		time.AfterFunc(wakeEvery, b.wakeSome)
	}
}

// has says whether there is an event for s among the last ones; what is not is passed over. It needs mu.
func (b *Broker) has(s *Subscription) bool {
	if s.next < b.first {
		return true // to hear that it was dropped
	}
	for ; s.next < b.first+uint64(len(b.list)); s.next++ {
		if Matches(b.list[s.next-b.first], s.runID) {
			return true
		}
	}
	return false
}

// Take gives events that were not taken before, without waiting: some, up to about so many bytes, or none
// where none is there; Ready then tells when to ask again. An error says why the subscription ended.
func (s *Subscription) Take(bytes int) (out []experiments.Event, err error) {
	b := s.broker
	b.mu.RLock()
	err = s.err
	slow := err == nil && s.next < b.first
	if err == nil && !slow {
		for _, ev := range b.list[s.next-b.first:] {
			if bytes <= 0 {
				break
			}
			s.next++
			if Matches(ev, s.runID) {
				out = append(out, ev)
				bytes -= size(ev)
			}
		}
	}
	b.mu.RUnlock()
	if slow {
		b.mu.Lock()
		b.dropped++
		b.end(s, ErrSlow)
		b.mu.Unlock()
		return nil, ErrSlow
	}
	return out, err
}

// Pending says whether Take has something to give, an error included.
func (s *Subscription) Pending() bool {
	s.broker.mu.Lock()
	defer s.broker.mu.Unlock()
	return s.err != nil || s.broker.has(s)
}

// Ready gives a value when there may be something to take.
func (s *Subscription) Ready() <-chan struct{} { return s.wake }

// Close ends every subscription, those to come included.
func (b *Broker) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for len(b.subs) > 0 {
		b.end(b.subs[0], ErrClosed)
	}
}

// Len is the number of subscriptions.
func (b *Broker) Len() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.subs)
}

// Dropped is how many subscriptions ended because they were too slow.
func (b *Broker) Dropped() int64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.dropped
}

// end needs b.mu.
func (b *Broker) end(s *Subscription, err error) {
	if s.at < 0 {
		return
	}
	last := b.subs[len(b.subs)-1]
	b.subs[s.at], last.at = last, s.at
	b.subs = b.subs[:len(b.subs)-1]
	s.at, s.err = -1, err
	select {
	case s.wake <- struct{}{}:
	default:
	}
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
