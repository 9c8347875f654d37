package sandbox

import (
	"fmt"
	"strings"
)

// granted is what a worker may take. Where the process was started with less
// than was asked for, that holds.
type granted struct {
	MemoryBytes int64    // largest linear memory, tables included
	CPUSeconds  uint64   // processor time of the worker's whole life
	Short       []string // what is less than asked for, and through what
}

// minRoom is the address space, in bytes, below which compiling even a small
// module fails.
const minRoom = 96 << 20

// share divides address space that is less than was asked for between the
// module's memory and all else in the same proportion.
func (g *granted) share(room, memory, worker int64, why string) error {
	if room >= memory+worker {
		return nil
	}
	if room < minRoom {
		return fmt.Errorf("%s leaves a metric worker %s of address space, which is too little to compile a module: it wants %s, and %s at least",
			why, mebibytes(room), mebibytes(memory+worker), mebibytes(minRoom))
	}
	g.MemoryBytes = int64(float64(memory)*float64(room)/float64(memory+worker)) / pageBytes * pageBytes
	g.Short = append(g.Short, fmt.Sprintf("%s leaves %s of address space where %s were asked for, so a module's memory may reach %s instead of %s",
		why, mebibytes(room), mebibytes(memory+worker), mebibytes(g.MemoryBytes), mebibytes(memory)))
	return nil
}

func mebibytes(n int64) string { return fmt.Sprintf("%.4g MiB", float64(max(n, 0))/(1<<20)) }

// because puts what is short behind a message; it may be the reason.
func because(short []string) string {
	if len(short) == 0 {
		return ""
	}
	return " (" + strings.Join(short, "; ") + ")"
}
