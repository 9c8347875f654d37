package ordered

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

func TestPartsComeInOrderWithTheirOwnRoom(t *testing.T) {
	for _, n := range []int{0, 1, 2, 7, 1000} {
		var got []int
		err := Run(n, func(i int, room *int) error {
			if i%3 == 0 {
				time.Sleep(time.Duration(i%5) * 10 * time.Microsecond)
			}
			*room = i * i
			return nil
		}, func(i int, room *int) error {
			if i != len(got) {
				return fmt.Errorf("part %d after %d others", i, len(got))
			}
			got = append(got, *room)
			return nil
		})
		if err != nil || len(got) != n {
			t.Fatalf("%d parts: %d came, %v", n, len(got), err)
		}
		for i, v := range got {
			if v != i*i {
				t.Errorf("part %d has the room of another: %d", i, v)
			}
		}
	}
}

func TestAFewRoomsServeAllParts(t *testing.T) {
	var rooms []*[]byte
	err := Run(500, func(_ int, room *[]byte) error {
		if *room == nil {
			*room = make([]byte, 1)
		}
		return nil
	}, func(_ int, room *[]byte) error {
		if !slices.Contains(rooms, room) {
			rooms = append(rooms, room)
		}
		return nil
	})
	if limit := 2 * runtime.GOMAXPROCS(0); err != nil || len(rooms) > limit {
		t.Errorf("%d rooms, at most %d are needed; %v", len(rooms), limit, err)
	}
}

func TestTheFirstErrorInOrderEndsAllWork(t *testing.T) {
	first, later := errors.New("part 5"), errors.New("part 6")
	var running atomic.Int32
	used := 0
	fill := func(i int, _ *int) error {
		running.Add(1)
		defer running.Add(-1)
		switch i {
		case 5:
			time.Sleep(time.Millisecond)
			return first
		case 6:
			return later
		}
		return nil
	}
	err := Run(1000, fill, func(int, *int) error { used++; return nil })
	if !errors.Is(err, first) || used != 5 || running.Load() != 0 {
		t.Errorf("%v after %d parts, %d still running", err, used, running.Load())
	}
	used = 0
	err = Run(1000, func(int, *int) error { return nil }, func(i int, _ *int) error {
		if used++; i == 3 {
			return later
		}
		return nil
	})
	if !errors.Is(err, later) || used != 4 {
		t.Errorf("%v after %d parts", err, used)
	}
}
