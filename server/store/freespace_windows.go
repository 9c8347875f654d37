package store

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// FreeBytes is the space left for us on the data folder's file system.
func (s *Store) FreeBytes() (uint64, error) {
	dir, err := windows.UTF16PtrFromString(s.Dir())
	if err != nil {
		return 0, fmt.Errorf("free space of %s: %w", s.Dir(), err)
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(dir, &free, nil, nil); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", s.Dir(), err)
	}
	return free, nil
}
