// Package ordered makes the parts of something long on all processors and hands them on in their
// order, a few at a time in memory.
package ordered

import (
	"runtime"
	"sync"
)

// part is one of them on its way.
type part[T any] struct {
	i    int
	room *T
	err  error
	made chan struct{}
}

// Run calls fill for the parts 0 … n−1, on as many goroutines as there are processors, and use for each
// of them in order, one at a time, on the caller's. Both get the part's room, which starts as T's zero
// value and serves other parts after use. The first error, in the order of the parts, is returned; no
// call of either is under way then.
func Run[T any](n int, fill, use func(i int, room *T) error) error {
	workers := min(n, runtime.GOMAXPROCS(0))
	rooms := make(chan *T, 2*workers) // those not in use; one more for each worker, so that it need not wait for use
	for range cap(rooms) {
		rooms <- new(T)
	}
	work, order := make(chan *part[T]), make(chan *part[T], cap(rooms))
	stop := make(chan struct{})
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for p := range work {
				p.err = fill(p.i, p.room)
				close(p.made)
			}
		})
	}
	running.Go(func() {
		defer close(order)
		defer close(work)
		for i := range n {
			select {
			case <-stop:
				return
			case room := <-rooms:
				p := &part[T]{i: i, room: room, made: make(chan struct{})}
				order <- p // never waits: there are as many places as rooms
				work <- p
			}
		}
	})
	var err error
	for p := range order {
		<-p.made
		if err = p.err; err == nil {
			err = use(p.i, p.room)
		}
		if err != nil {
			close(stop)
			break
		}
		rooms <- p.room
	}
	running.Wait()
	return err
}
