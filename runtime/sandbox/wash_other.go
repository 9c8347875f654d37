//go:build !linux

package sandbox

// wash keeps no memory here: each instance gets fresh memory of the system.
func wash([]byte, uint64, uint64) bool { return false }
