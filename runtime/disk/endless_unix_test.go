//go:build unix

package disk

import (
	"net"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// endless are names that are no regular files.
func endless(t *testing.T, dir string) map[string]string {
	t.Helper()
	pipe, socket := filepath.Join(dir, "pipe"), filepath.Join(dir, "s")
	if err := unix.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return map[string]string{"a folder": dir, "a device": "/dev/zero", "a pipe": pipe, "a socket": socket}
}
