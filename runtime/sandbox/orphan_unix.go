//go:build unix

package sandbox

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// exitWithHost ends this process when the other end of its stdin closes, which
// is when the host is gone, however it went. What a worker is busy with then
// is of use to nobody.
func exitWithHost(stdin io.Reader) {
	f, ok := stdin.(*os.File)
	if !ok {
		return // a test's pipe inside one process
	}
	fd := int32(f.Fd())
	go func() {
		for {
			// Without events asked for, only a hang-up or an error returns.
			fds := []unix.PollFd{{Fd: fd}}
			if _, err := unix.Poll(fds, -1); err == unix.EINTR {
				continue
			}
			os.Exit(0)
		}
	}()
}
