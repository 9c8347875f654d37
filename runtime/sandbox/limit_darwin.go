package sandbox

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// limitProcess bounds the processor time of this process, in seconds from its
// start, and keeps it from writing a core file; a smaller limit that it was
// started with stays. macOS does not enforce a limit on address space, so
// memory is bounded by the preflight and by the linear memory's own limit only.
func limitProcess(memory, _ int64, cpu uint64) (granted, error) {
	g := granted{MemoryBytes: memory, CPUSeconds: cpu}
	for resource, want := range map[int]uint64{unix.RLIMIT_CORE: 0, unix.RLIMIT_CPU: cpu} {
		var now unix.Rlimit
		if err := unix.Getrlimit(resource, &now); err != nil {
			return g, fmt.Errorf("getrlimit %d: %w", resource, err)
		}
		to := min(want, now.Cur, now.Max)
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: to, Max: to}); err != nil {
			return g, fmt.Errorf("setrlimit %d to %d: %w", resource, to, err)
		}
		if resource == unix.RLIMIT_CPU && to < cpu {
			g.CPUSeconds = to
			g.Short = append(g.Short, fmt.Sprintf("ulimit -t leaves %d s of processor time where %d s were asked for", to, cpu))
		}
	}
	return g, nil
}
