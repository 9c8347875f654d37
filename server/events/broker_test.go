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

func ids(s *Subscription) (got []uint64) {
	for {
		select {
		case e, ok := <-s.C():
			if !ok {
				return got
			}
			got = append(got, e.ID)
		default:
			return got
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
	all, one := b.Subscribe("", 8), b.Subscribe("r1", 8)
	b.Publish(ev(1, "r1"), ev(2, "r2"), ev(3, ""))
	if got := ids(all); !equal(got, []uint64{1, 2, 3}) {
		t.Errorf("all: %v", got)
	}
	if got := ids(one); !equal(got, []uint64{1, 3}) {
		t.Errorf("r1: %v", got)
	}
}

func TestASlowReaderIsDroppedAndOthersGoOn(t *testing.T) {
	var b Broker
	slow, quick := b.Subscribe("", 1), b.Subscribe("", 8)
	b.Publish(ev(1, ""), ev(2, ""), ev(3, ""))
	if got := ids(slow); !equal(got, []uint64{1}) {
		t.Errorf("slow reader got %v, want what fitted", got)
	}
	if err := slow.Err(); !errors.Is(err, ErrSlow) {
		t.Errorf("slow reader's error %v", err)
	}
	if got := ids(quick); !equal(got, []uint64{1, 2, 3}) {
		t.Errorf("quick reader got %v", got)
	}
	if b.Len() != 1 {
		t.Errorf("%d subscriptions left, want 1", b.Len())
	}
}

func TestCloseEndsEverySubscriptionAndLaterOnes(t *testing.T) {
	var b Broker
	s := b.Subscribe("", 1)
	b.Close()
	b.Close()
	s.Close()
	for _, s := range []*Subscription{s, b.Subscribe("", 1)} {
		if _, ok := <-s.C(); ok {
			t.Error("an event from a closed broker")
		}
		if !errors.Is(s.Err(), ErrClosed) {
			t.Errorf("error %v", s.Err())
		}
	}
}

func TestPublishingWhileWatchersComeAndGo(t *testing.T) {
	var b Broker
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				s := b.Subscribe("", 2)
				b.Publish(ev(1, ""))
				s.Close()
			}
		})
	}
	wg.Wait()
	if b.Len() != 0 {
		t.Errorf("%d subscriptions left", b.Len())
	}
}
