package store

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"triality/experiments"
)

// errDamaged is what reading a damaged page comes to.
var errDamaged = errors.New("the database is damaged: stop the server, run `triality db check`, and restore a backup")

// guarded runs f and turns its panic into an error. bbolt panics on a page that makes no sense, and a
// file that became shorter than its map is a memory fault.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		_, isFault := p.(interface{ Addr() uintptr })
		if isFault || panickedIn("go.etcd.io/bbolt") {
			err = experiments.Errorf(experiments.CodeInternal, "store: %w: %v", errDamaged, p)
			return
		}
		err = fmt.Errorf("store: panic: %v\n%s", p, debug.Stack())
	}()
	return f()
}

// panickedIn says, during a panic, whether it began in a package of that module.
func panickedIn(module string) bool {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for inPanic := false; ; {
		frame, more := frames.Next()
		switch {
		case strings.HasPrefix(frame.Function, "runtime."):
			inPanic = inPanic || frame.Function == "runtime.gopanic"
		case inPanic:
			return strings.HasPrefix(frame.Function, module)
		}
		if !more {
			return false
		}
	}
}
