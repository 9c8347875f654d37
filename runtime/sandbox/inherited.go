//go:build linux || darwin

package sandbox

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Signals that end a worker: badSystemCall what a system call filter does not
// let pass, overTime what has used up its processor time.
const badSystemCall, overTime = syscall.SIGSYS, syscall.SIGXCPU

// inherited says which limits this process hands on to a worker, for messages
// about one that died before it could tell. cpu is what it is to have.
func inherited(cpu uint64) granted {
	g := granted{CPUSeconds: cpu}
	for _, l := range []struct {
		resource   int
		flag, what string
		unit       uint64
	}{{unix.RLIMIT_AS, "-v", "KiB of address space", 1024}, {unix.RLIMIT_DATA, "-d", "KiB of data", 1024}, {unix.RLIMIT_CPU, "-t", "s of processor time", 1}} {
		var now unix.Rlimit
		if err := unix.Getrlimit(l.resource, &now); err != nil || now.Cur >= 1<<62 {
			continue
		}
		if l.resource == unix.RLIMIT_CPU {
			g.CPUSeconds = min(cpu, now.Cur)
			if now.Cur >= cpu {
				continue
			}
		}
		g.Short = append(g.Short, fmt.Sprintf("this process was started with ulimit %s: %d %s", l.flag, now.Cur/l.unit, l.what))
	}
	return g
}
