package sandbox

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// limitProcess bounds the processor time of this process, in seconds from its
// start, and keeps it from writing a core file. macOS does not enforce a limit
// on address space, so memory is bounded by the preflight and by the linear
// memory's own limit only.
func limitProcess(_ int64, cpu uint64) error {
	for resource, limit := range map[int]uint64{unix.RLIMIT_CORE: 0, unix.RLIMIT_CPU: cpu} {
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
			return fmt.Errorf("setrlimit %d to %d: %w", resource, limit, err)
		}
	}
	return nil
}
