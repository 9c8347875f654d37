//go:build !linux

package memory

// Machine is not known here.
func Machine() int64 { return 0 }

// Free is not known here.
func Free() int64 { return 0 }

// Held is not known here.
func Held(int) (bytes int64, ok bool) { return 0, false }

// Peak is not known here.
func Peak() int64 { return 0 }
