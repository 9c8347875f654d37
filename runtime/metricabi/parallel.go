package metricabi

import (
	"runtime"
	"sync"
)

// minParallel is from how many bytes on work is shared out: a goroutine costs
// as much as copying some kilobytes.
const minParallel = 1 << 20

// inParallel does each of the jobs, which move size bytes together, and returns
// their errors.
func inParallel(jobs []func() error, size int) []error {
	errs := make([]error, len(jobs))
	workers := min(runtime.GOMAXPROCS(0), len(jobs))
	if size < minParallel || workers < 2 {
		for i, job := range jobs {
			errs[i] = job()
		}
		return errs
	}
	var wg sync.WaitGroup
	next := make(chan int, len(jobs))
	for i := range jobs {
		next <- i
	}
	close(next)
	for range workers {
		wg.Go(func() {
			for i := range next {
				errs[i] = jobs[i]()
			}
		})
	}
	wg.Wait()
	return errs
}
