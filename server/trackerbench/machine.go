package trackerbench

import (
	"os"
	"runtime"
	"strconv"
	"strings"
)

// machine says where this is. Linux tells all of it; elsewhere parts are empty.
func machine() Machine {
	m := Machine{CPUs: runtime.GOMAXPROCS(0), Go: runtime.Version()}
	for line := range strings.Lines(procFile("cpuinfo")) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			m.CPU = strings.TrimSpace(value)
			break
		}
	}
	if load := strings.Fields(procFile("loadavg")); len(load) > 0 {
		m.Load, _ = strconv.ParseFloat(load[0], 64)
	}
	return m
}

func procFile(name string) string {
	b, err := os.ReadFile("/proc/" + name)
	if err != nil {
		return "" // not Linux
	}
	return string(b)
}

func memory() Memory {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	m := Memory{HeapMB: mb(stats.HeapAlloc)}
	for line := range strings.Lines(procFile("self/status")) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kb, err := strconv.ParseUint(fields[1], 10, 64)
		if err != nil {
			continue
		}
		switch fields[0] {
		case "VmRSS:":
			m.Resident = mb(kb * 1024)
		case "RssAnon:":
			m.OwnMB = mb(kb * 1024)
		case "RssFile:":
			m.MappedMB = mb(kb * 1024)
		}
	}
	return m
}
