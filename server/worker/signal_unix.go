//go:build unix

package worker

import (
	"fmt"
	"os/exec"
	"syscall"
)

// signalOf says what ended a process: a signal, or its own status.
func signalOf(exit *exec.ExitError) string {
	status, ok := exit.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return exit.Error()
	}
	text := fmt.Sprintf("killed by signal %d (%v)", status.Signal(), status.Signal())
	if status.Signal() == syscall.SIGKILL {
		text += ", which is what a system does that has no memory left"
	}
	return text
}
