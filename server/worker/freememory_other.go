//go:build !linux

package worker

// FreeMemory says nothing here.
func FreeMemory() (free, total int64) { return 0, 0 }
