package fleet

import (
	"time"

	"golang.org/x/sys/unix"
)

// ownClock counts the time in which the machine is suspended too, which Go's monotonic clock leaves out: a worker
// that slept must know that its lease has lapsed.
func ownClock() clock {
	fallback := sinceStart()
	return func() time.Duration {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
			return fallback() // before Linux 2.6.39
		}
		return time.Duration(ts.Nano())
	}
}
