package uptime

import (
	"time"

	"golang.org/x/sys/unix"
)

// Now is the time since some moment that is the same within a process. Go's monotonic clock leaves out suspension.
func Now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return sinceStart() // before Linux 2.6.39
	}
	return time.Duration(ts.Nano())
}
