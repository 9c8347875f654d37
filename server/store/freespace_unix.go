//go:build !windows

package store

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// FreeBytes is the space left for us on the data folder's file system.
func (s *Store) FreeBytes() (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(s.Dir(), &st); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", s.Dir(), err)
	}
	return uint64(st.Bavail) * uint64(st.Bsize), nil
}
