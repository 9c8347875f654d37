package enginebench

import (
	"fmt"
	"os"
)

// loadAverage is the mean number of running threads of the last minute.
func loadAverage() float64 {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	var load float64
	if _, err := fmt.Sscan(string(raw), &load); err != nil {
		return 0
	}
	return load
}
