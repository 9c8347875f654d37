//go:build !linux && !darwin

package sandbox

import "syscall"

// Signals that do not exist here.
const badSystemCall, overTime = syscall.Signal(-2), syscall.Signal(-3)

// inherited says which limits this process hands on to a worker: none here.
func inherited(cpu uint64) granted { return granted{CPUSeconds: cpu} }
