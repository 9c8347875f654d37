package cpu

import (
	"sync"
	"sync/atomic"
)

// pool is a set of goroutines that wait for work; the launching goroutine is worker 0. Tasks are
// taken one by one, so which worker runs a task is not fixed, but what a task computes is.
type pool struct {
	wake []chan struct{} // one for each worker but the first
	job  func(worker, task int)
	n    int64
	next atomic.Int64
	done sync.WaitGroup
}

func newPool(threads int) *pool {
	p := &pool{wake: make([]chan struct{}, threads-1)}
	for i := range p.wake {
		ch := make(chan struct{}, 1)
		p.wake[i] = ch
		go func() {
			for range ch {
				p.work(i + 1)
				p.done.Done()
			}
		}()
	}
	return p
}

func (p *pool) work(worker int) {
	for {
		t := p.next.Add(1) - 1
		if t >= p.n {
			return
		}
		p.job(worker, int(t))
	}
}

// run calls f for the tasks 0 … n−1 and returns when all are done. One launch at a time.
func (p *pool) run(n int, f func(worker, task int)) {
	if n == 1 || len(p.wake) == 0 {
		for t := range n {
			f(0, t)
		}
		return
	}
	p.job, p.n = f, int64(n)
	p.next.Store(0)
	helpers := min(n-1, len(p.wake))
	p.done.Add(helpers)
	for _, ch := range p.wake[:max(0, helpers)] {
		ch <- struct{}{}
	}
	p.work(0)
	p.done.Wait()
	p.job = nil
}

func (p *pool) close() {
	for _, ch := range p.wake {
		close(ch)
	}
	p.wake = nil
}

// grain is the number of elements below which waking a worker costs more than it saves.
const grain = 16 << 10

// split calls f on consecutive spans of [0, n), each of size elements but the last.
func (d *Device) split(n, size int, f func(from, to int)) {
	size = max(size, 1)
	if n <= size {
		if n > 0 {
			f(0, n)
		}
		return
	}
	d.pool.run((n+size-1)/size, func(_, t int) { f(t*size, min(n, (t+1)*size)) })
}

// splitRows is split over T rows of width elements.
func (d *Device) splitRows(T, width int, f func(from, to int)) {
	d.split(T, max(1, grain/max(1, width)), f)
}

// each runs n tasks, on the launching goroutine alone where the work of all of them, in elements,
// is not worth waking another.
func (d *Device) each(n, work int, f func(worker, task int)) {
	if work <= grain {
		for t := range n {
			f(0, t)
		}
		return
	}
	d.pool.run(n, f)
}
