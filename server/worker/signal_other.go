//go:build !unix

package worker

import "os/exec"

func signalOf(exit *exec.ExitError) string { return exit.Error() }
