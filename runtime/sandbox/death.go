package sandbox

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// ownWords begin what a worker says when it ends by itself.
const ownWords = "metric worker: "

// explainEnd says why a worker ended instead of answering, from what it wrote
// and how it went.
func explainEnd(s *session, cause error) *Error {
	words, state := s.stderr.text(), s.cmd.ProcessState
	short, _, _ := strings.Cut(strings.TrimSpace(words), "\n")
	says := func(signs ...string) bool {
		for _, sign := range signs {
			if strings.Contains(words, sign) {
				return true
			}
		}
		return false
	}
	// What happens before any of the module was decoded is not its doing.
	memory := ErrMemory
	if s.phase == "start" {
		memory = ErrWorker
	}
	own := because(s.granted.Short)
	switch {
	case strings.HasPrefix(short, ownWords):
		return failf(ErrWorker, s.phase, "the worker %s", strings.TrimPrefix(short, ownWords))
	case says("failed to create new OS thread", "pthread_create failed") && !says("errno=12"):
		return failf(ErrWorker, s.phase, "the system lets the worker have no more threads: raise the limit on processes (ulimit -u, or a container's pids limit) (%s)%s", short, own) // a thread's stack may be what there is no room for
	case says("out of memory", "cannot allocate memory", "failed to allocate", "failed to reserve", "address space", "failed to create new OS thread", "VirtualAlloc"):
		return failf(memory, s.phase, "the worker ran into its memory limit (%s)%s", short, own)
	case says("SIGXCPU") || signal(state) == overTime || signal(state) == syscall.SIGKILL && state.UserTime()+state.SystemTime() >= s.cpuLimit():
		return failf(ErrTimeout, s.phase, "the worker ran into its processor limit of %d s%s", s.granted.CPUSeconds, own)
	case signal(state) == syscall.SIGKILL:
		return failf(ErrWorker, s.phase, "the worker was killed from outside (SIGKILL); most often that is the system, or the container, running out of memory: a worker may take %s, %d at once",
			mebibytes(s.h.o.MemoryBytes+s.h.o.WorkerBytes), s.h.o.MaxWorkers)
	case signal(state) == badSystemCall || says("SIGSYS"):
		return failf(ErrWorker, s.phase, "a system call filter (seccomp) killed the worker (SIGSYS); let a metric worker make the system calls of a Go program, and prlimit64")
	}
	return &Error{Code: ErrWorker, Phase: s.phase, Message: fmt.Sprintf("the worker ended (%v) saying %q%s", state, short, own), Err: cause}
}

// signal is what ended a process; -1 where it ended otherwise.
func signal(state *os.ProcessState) syscall.Signal {
	if st, ok := state.Sys().(syscall.WaitStatus); ok && st.Signaled() {
		return st.Signal()
	}
	return -1
}
