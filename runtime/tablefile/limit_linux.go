package tablefile

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// limit bounds this process: bytes of address space beyond what it has already, and processor time.
func limit(memory int64, cpu time.Duration) error {
	stat, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return fmt.Errorf("%w: without it (a mounted /proc) a reader cannot bound its memory", err)
	}
	var pages int64
	if _, err := fmt.Sscan(strings.Fields(string(stat))[0], &pages); err != nil {
		return fmt.Errorf("/proc/self/statm: %w", err)
	}
	for resource, want := range map[int]uint64{
		unix.RLIMIT_AS: uint64(pages*int64(os.Getpagesize()) + memory), unix.RLIMIT_CPU: uint64(cpu / time.Second), unix.RLIMIT_CORE: 0,
	} {
		var now unix.Rlimit
		if err := unix.Getrlimit(resource, &now); err != nil {
			return fmt.Errorf("getrlimit %d: %w", resource, err)
		}
		to := min(want, now.Cur, now.Max)
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: to, Max: to}); err != nil {
			return fmt.Errorf("setrlimit %d to %d: %w", resource, to, err)
		}
	}
	return nil
}
