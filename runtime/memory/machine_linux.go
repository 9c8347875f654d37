package memory

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Machine is what this process may take at most, in bytes: the machine's memory, or what one of its control groups may
// have where that is less; 0 where the system does not say.
func Machine() int64 {
	total := ofMachine("MemTotal")
	for _, limit := range groupLimits("/proc/self/cgroup", "/sys/fs/cgroup") {
		if total == 0 || limit < total {
			total = limit
		}
	}
	return total
}

// Free is what the machine could give now without ending or swapping out another process, in bytes; 0 where the
// system does not say.
func Free() int64 { return ofMachine("MemAvailable") }

func ofMachine(name string) int64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	n, _ := field(string(text), name)
	return n
}

// groupLimits are the bounds of the control groups that a process is in, from its own up to the root: memory.max of
// version 2, memory.limit_in_bytes of version 1.
func groupLimits(list, root string) []int64 {
	text, err := os.ReadFile(list)
	if err != nil {
		return nil
	}
	var out []int64
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		base, file := root, "memory.max"
		switch {
		case strings.Contains(","+parts[1]+",", ",memory,"):
			base, file = filepath.Join(root, "memory"), "memory.limit_in_bytes"
		case parts[0] != "0":
			continue
		}
		// In a container the path may be the host's, of which only the root is to be seen.
		for at := filepath.Clean("/" + parts[2]); ; at = filepath.Dir(at) {
			if text, err := os.ReadFile(filepath.Join(base, at, file)); err == nil {
				if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 {
					out = append(out, n)
				}
			}
			if at == "/" {
				break
			}
		}
	}
	return out
}

// Held is what a process has, in bytes: resident and swapped. ok is false where the system does not say.
func Held(pid int) (bytes int64, ok bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, false
	}
	resident, ok := field(string(text), "VmRSS")
	swapped, _ := field(string(text), "VmSwap")
	return resident + swapped, ok
}

// Peak is the most that this process has had resident, in bytes; 0 where the system does not say.
func Peak() int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	n, _ := field(string(text), "VmHWM")
	return n
}

// field is a value in kB of a file of /proc, in bytes.
func field(text, name string) (int64, bool) {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return kib << 10, err == nil
		}
	}
	return 0, false
}
