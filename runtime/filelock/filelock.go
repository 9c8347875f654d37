// Package filelock keeps processes out of each other's files. The operating system releases a lock when
// its process ends, however it ends.
package filelock

import (
	"os"
	"runtime"
)

// Try takes the lock on the file at path, which is made where it is missing. unlock is nil where another
// process, or another call of this one, has it. It is the lock that Python's filelock takes.
func Try(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o664)
	if err != nil {
		return nil, err
	}
	taken, err := tryLock(f)
	if taken {
		// Who had it may have removed the file on release: a lock on a removed file excludes nobody.
		ours, err := f.Stat()
		if err == nil {
			if now, err := os.Stat(path); err == nil && os.SameFile(ours, now) {
				return func() { unlockFile(f); f.Close() }, nil
			}
		}
	}
	f.Close()
	return nil, err
}

// Hold is Try for a lock file that is nobody else's: release removes it.
func Hold(path string) (release func(), err error) {
	unlock, err := Try(path)
	if unlock == nil {
		return nil, err
	}
	return func() {
		if runtime.GOOS == "windows" { // which removes no open file: not this one before, nor another call's after
			unlock()
			os.Remove(path)
			return
		}
		os.Remove(path)
		unlock()
	}, nil
}
