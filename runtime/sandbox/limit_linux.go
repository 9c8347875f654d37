package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// limitProcess bounds this process: memory and worker bytes of address space
// beyond what it has already (Go reserves about a gigabyte for its own tables
// at the start), cpu seconds of processor time from its start, no core file,
// files of a gigabyte at most (only the compilation cache is written). Limits
// that it was started with and that are smaller stay.
func limitProcess(memory, worker int64, cpu uint64) (granted, error) {
	g := granted{MemoryBytes: memory, CPUSeconds: cpu}
	// Where memory runs out, this process shall end, not its host.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0) // where it cannot be raised nothing is lost
	stat, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return g, fmt.Errorf("%w: without it (a mounted /proc) a metric worker cannot bound its memory", err)
	}
	var pages int64
	if _, err := fmt.Sscan(strings.Fields(string(stat))[0], &pages); err != nil {
		return g, fmt.Errorf("/proc/self/statm: %w", err)
	}
	used := pages * int64(os.Getpagesize())
	if _, err := lower(unix.RLIMIT_CORE, 0); err != nil {
		return g, err
	}
	if _, err := lower(unix.RLIMIT_FSIZE, 1<<30); err != nil {
		return g, err
	}
	if g.CPUSeconds, err = lower(unix.RLIMIT_CPU, cpu); err != nil {
		return g, err
	}
	if g.CPUSeconds < cpu {
		g.Short = append(g.Short, fmt.Sprintf("ulimit -t leaves %d s of processor time where %d s were asked for", g.CPUSeconds, cpu))
	}
	total, err := lower(unix.RLIMIT_AS, uint64(used+memory+worker))
	if err != nil {
		return g, err
	}
	if err := g.share(int64(total)-used, memory, worker, "ulimit -v"); err != nil {
		return g, err
	}
	var data unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_DATA, &data); err == nil && data.Cur < uint64(memory+worker) {
		if err := g.share(int64(data.Cur), g.MemoryBytes, memory+worker-g.MemoryBytes, "ulimit -d"); err != nil {
			return g, err
		}
	}
	return g, nil
}

// lower sets a limit to want where it is higher, and returns what holds. Soft
// equals hard: the process is killed, it cannot carry on.
func lower(resource int, want uint64) (uint64, error) {
	var now unix.Rlimit
	if err := unix.Getrlimit(resource, &now); err != nil {
		return 0, refusedCall("getrlimit", resource, err)
	}
	to := min(want, now.Cur, now.Max)
	if now.Cur == to && now.Max == to {
		return to, nil
	}
	if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: to, Max: to}); err != nil {
		return 0, refusedCall(fmt.Sprintf("setrlimit to %d", to), resource, err)
	}
	return to, nil
}

// refusedCall names what keeps a process from lowering its own limits, which
// the system itself always lets it do.
func refusedCall(call string, resource int, err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EACCES) {
		return fmt.Errorf("%s of resource %d: %w: a system call filter (seccomp) forbids it; let it pass prlimit64, getrlimit and setrlimit", call, resource, err)
	}
	return fmt.Errorf("%s of resource %d: %w", call, resource, err)
}
