//go:build unix

package dataset

import (
	"path/filepath"
	"syscall"
)

func makePipe(dir string) (string, error) {
	path := filepath.Join(dir, "pipe")
	return path, syscall.Mkfifo(path, 0o600)
}
