package worker

import (
	"os"
	"strconv"
	"strings"
)

// offerMemory makes this process the one that the system ends when memory runs out. Raising one's own score
// needs no right; where /proc is missing the system chooses by size, which is the worker too.
func offerMemory() { _ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0o644) }

// memoryOf is what a process holds, in bytes: resident and swapped. ok is false where the system does not say.
func memoryOf(pid int) (bytes int64, ok bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		if name != "VmRSS" && name != "VmSwap" {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return 0, false
		}
		bytes, ok = bytes+kib<<10, true
	}
	return bytes, ok
}

// machineMemory is what the machine has, in bytes, or what this process's control group may take where that
// is less; 0 where the system does not say.
func machineMemory() int64 {
	var total int64
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if value, ok := strings.CutPrefix(line, "MemTotal:"); ok {
				kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
				total = kib << 10
			}
		}
	}
	if text, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && (total == 0 || limit < total) {
			total = limit
		}
	}
	return total
}
