package memory

import (
	"math"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// Slack is what a process takes beside what was planned: compiled graphs, small things, and garbage that is not
// collected yet. Hold keeps the last of these to half of it.
func Slack(planned int64) int64 { return plus(planned/10, 48<<20) }

var held struct {
	sync.Mutex
	sum    int64 // of what is planned
	before int64 // the runtime's memory when nothing was
	limit  int64 // of the collector then
}

// Hold makes the garbage collector keep to what is planned and half of its slack, beside what the process has already,
// since what lies outside its heap comes out of the slack too: left to itself it lets as much garbage lie as there is memory in use. It is a wish that the collector never exceeds half
// of its time for. release ends it.
func Hold(planned int64) (release func()) {
	held.Lock()
	defer held.Unlock()
	if held.sum == 0 {
		held.before, held.limit = inUse(), debug.SetMemoryLimit(-1)
	}
	change := func(by int64) {
		held.sum += by
		limit := held.limit
		if held.sum > 0 {
			limit = min(limit, plus(held.before, plus(held.sum, Slack(held.sum)/2)))
		}
		debug.SetMemoryLimit(limit)
	}
	planned = min(max(planned, 1), math.MaxInt64/4)
	change(planned)
	var once sync.Once
	return func() {
		once.Do(func() {
			held.Lock()
			defer held.Unlock()
			change(-planned)
		})
	}
}

// inUse is the memory that the collector's limit counts.
func inUse() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64() - s[1].Value.Uint64())
}
