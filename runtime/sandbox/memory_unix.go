//go:build unix

package sandbox

import "golang.org/x/sys/unix"

// reserve takes size bytes of address space without memory behind them.
func reserve(size uint64) []byte {
	b, err := unix.Mmap(-1, 0, int(size), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil
	}
	return b
}

// commit makes the bytes from to to accessible; they read as zero.
func commit(b []byte, from, to uint64) bool {
	if from == to {
		return true
	}
	if unix.Mprotect(b[from:to], unix.PROT_READ|unix.PROT_WRITE) != nil {
		return false
	}
	advise(b[from:to])
	return true
}

func release(b []byte) {
	// It can fail only for a region that Mmap did not return.
	_ = unix.Munmap(b)
}
