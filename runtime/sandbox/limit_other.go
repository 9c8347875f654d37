//go:build !linux && !darwin && !windows

package sandbox

import (
	"errors"
	"runtime"
)

// limitProcess refuses systems whose limits nobody has written: a worker
// without limits would be a promise not kept.
func limitProcess(int64, int64, uint64) (granted, error) {
	return granted{}, errors.New("metric modules cannot be limited on " + runtime.GOOS)
}
