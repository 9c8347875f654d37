package events

import (
	"errors"
	"sync"
	"testing"

	"triality/experiments"
)

func ev(id uint64, run string) experiments.Event {
	return experiments.Event{ID: id, Type: experiments.EventRun, RunID: run}
}

func ids(t testing.TB, s *Subscription) (got []uint64) {
	t.Helper()
	for {
		evs, err := s.Take(1 << 20)
		if err != nil && !errors.Is(err, ErrSlow) {
			t.Fatal(err)
		}
		if len(evs) == 0 {
			return got
		}
		for _, e := range evs {
			got = append(got, e.ID)
		}
	}
}

func equal(a, b []uint64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestASubscriptionSeesItsRunAndEventsOfNoRun(t *testing.T) {
	var b Broker
	all, one := b.Subscribe(""), b.Subscribe("r1")
	b.Publish(ev(1, "r1"), ev(2, "r2"), ev(3, ""))
	if got := ids(t, all); !equal(got, []uint64{1, 2, 3}) {
		t.Errorf("all: %v", got)
	}
	if got := ids(t, one); !equal(got, []uint64{1, 3}) {
		t.Errorf("r1: %v", got)
	}
}

func TestASlowReaderIsDroppedAndOthersGoOn(t *testing.T) {
	for name, limits := range map[string]Limits{"by number": {Events: 2}, "by bytes": {Bytes: 2 * size(ev(1, ""))}} {
		t.Run(name, func(t *testing.T) {
			b := Broker{Limits: limits}
			slow, quick := b.Subscribe(""), b.Subscribe("")
			var got []uint64
			for id := range uint64(3) {
				b.Publish(ev(id, ""))
				got = append(got, ids(t, quick)...)
			}
			if _, err := slow.Take(1); !errors.Is(err, ErrSlow) {
				t.Errorf("slow reader's error %v", err)
			}
			if _, err := slow.Take(1); !errors.Is(err, ErrSlow) {
				t.Errorf("slow reader's error, asked again: %v", err)
			}
			if !equal(got, []uint64{0, 1, 2}) {
				t.Errorf("quick reader got %v", got)
			}
			if b.Len() != 1 || b.Dropped() != 1 {
				t.Errorf("%d subscriptions left, %d dropped, want 1 and 1", b.Len(), b.Dropped())
			}
		})
	}
}

func TestAReaderOfAnotherRunIsNotSlow(t *testing.T) {
	b := Broker{Limits: Limits{Events: 2}}
	quiet := b.Subscribe("quiet")
	for id := range uint64(5) {
		b.Publish(ev(id, "busy"))
		for waking := true; waking; { // it is passed over when others are woken
			b.mu.RLock()
			waking = b.waking
			b.mu.RUnlock()
		}
	}
	b.Publish(ev(9, "quiet"))
	if got := ids(t, quiet); !equal(got, []uint64{9}) {
		t.Errorf("got %v", got)
	}
}

func TestEveryReaderIsWokenHoweverMany(t *testing.T) {
	var b Broker
	var all sync.WaitGroup
	for range 10 * wakeAtOnce {
		s := b.Subscribe("r")
		all.Go(func() {
			<-s.Ready()
			if got := ids(t, s); !equal(got, []uint64{1}) {
				t.Errorf("woken for %v", got)
			}
		})
	}
	b.Publish(ev(1, "r"))
	all.Wait()
}

func TestATakeIsBoundedInBytes(t *testing.T) {
	var b Broker
	s := b.Subscribe("")
	b.Publish(ev(1, ""), ev(2, ""), ev(3, ""))
	for id := uint64(1); id <= 3; id++ {
		if evs, err := s.Take(1); err != nil || len(evs) != 1 || evs[0].ID != id {
			t.Fatalf("took %v, %v; want event %d", evs, err, id)
		}
	}
}

func TestCloseEndsEverySubscriptionAndLaterOnes(t *testing.T) {
	var b Broker
	s := b.Subscribe("")
	b.Close()
	b.Close()
	s.Close()
	for _, s := range []*Subscription{s, b.Subscribe("")} {
		<-s.Ready()
		if evs, err := s.Take(1); !errors.Is(err, ErrClosed) || len(evs) > 0 {
			t.Errorf("events %v, error %v", evs, err)
		}
	}
}

func TestPublishingWhileWatchersComeAndGo(t *testing.T) {
	b := Broker{Limits: Limits{Events: 2}}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				s := b.Subscribe("")
				b.Publish(ev(1, ""))
				s.Take(1)
				s.Close()
			}
		})
	}
	wg.Wait()
	if b.Len() != 0 {
		t.Errorf("%d subscriptions left", b.Len())
	}
}
