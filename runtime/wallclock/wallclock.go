// Package wallclock gives the time of day that records are stamped with. It is this machine's, or, in a process that
// works for another machine, that machine's: what is recorded in one place has the times of one clock.
package wallclock

import (
	"sync/atomic"
	"time"
)

var ahead atomic.Int64 // ns

// Follow sets how far the clock to go by is ahead of this machine's; negative where it is behind.
func Follow(d time.Duration) { ahead.Store(int64(d)) }

// Now is the time of day, with this process's monotonic reading, so that differences are true.
func Now() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
