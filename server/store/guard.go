package store

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

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
		if fault, ok := p.(runtime.Error); ok {
			if _, isAddress := fault.(interface{ Addr() uintptr }); isAddress {
				err = experiments.Errorf(experiments.CodeInternal, "store: reading the file failed: %v: %w", fault, errDamaged)
				return
			}
		}
		err = fmt.Errorf("store: panic: %v\n%s", p, debug.Stack())
	}()
	return f()
}
