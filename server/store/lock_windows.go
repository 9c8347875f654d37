package store

import (
	"os"
	"time"

	berrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/windows"
)

// lockFile waits until bbolt's lock is free. A lock is no one's twice on Windows, so it is let go of for
// bbolt to take.
func lockFile(f *os.File, timeout time.Duration) error {
	const last = 1<<32 - 1
	for end := time.Now().Add(timeout); ; time.Sleep(20 * time.Millisecond) {
		at := windows.Overlapped{Offset: last, OffsetHigh: last}
		err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_FAIL_IMMEDIATELY|windows.LOCKFILE_EXCLUSIVE_LOCK, 0, 1, 0, &at)
		if err == nil {
			return windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, &at)
		}
		if err != windows.ERROR_LOCK_VIOLATION {
			return err
		}
		if time.Now().After(end) {
			return berrors.ErrTimeout
		}
	}
}
