package sandbox

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// limitProcess bounds this process: address bytes of address space beyond what
// it has already (Go reserves about a gigabyte for its own tables at the
// start), cpu seconds of processor time from its start, no core file, files of
// a gigabyte at most (only the compilation cache is written).
func limitProcess(address int64, cpu uint64) error {
	stat, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return err
	}
	var pages int64
	if _, err := fmt.Sscan(strings.Fields(string(stat))[0], &pages); err != nil {
		return fmt.Errorf("/proc/self/statm: %w", err)
	}
	total := uint64(pages*int64(os.Getpagesize()) + address)
	// Soft equals hard: the process is killed, it cannot carry on.
	for _, l := range []struct {
		resource int
		limit    uint64
	}{{unix.RLIMIT_CORE, 0}, {unix.RLIMIT_CPU, cpu}, {unix.RLIMIT_AS, total}, {unix.RLIMIT_FSIZE, 1 << 30}} {
		if err := unix.Setrlimit(l.resource, &unix.Rlimit{Cur: l.limit, Max: l.limit}); err != nil {
			return fmt.Errorf("setrlimit %d to %d: %w", l.resource, l.limit, err)
		}
	}
	return nil
}
