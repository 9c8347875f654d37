package worker

import (
	"os"
	"strconv"
	"strings"

	"triality/runtime/memory"
)

// FreeMemory is what the machine, or this process's control group where that has less, can still give, and all that it
// has, in bytes; 0 and 0 where the system does not say.
func FreeMemory() (free, total int64) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			free = kib << 10
		}
	}
	total = memory.Machine()
	if used, err := os.ReadFile("/sys/fs/cgroup/memory.current"); err == nil {
		if n, err := strconv.ParseInt(strings.TrimSpace(string(used)), 10, 64); err == nil {
			free = min(free, total-n)
		}
	}
	return free, total
}
