//go:build !linux

package sandbox

import (
	"errors"
	"os"
)

// sharedInput does not exist here: tables go through the worker's stdin.
type sharedInput struct{}

func newSharedInput() *sharedInput { return nil }

func (*sharedInput) room(int64, int64) []byte { return nil }
func (*sharedInput) drop()                    {}
func (*sharedInput) size() int64              { return 0 }
func (*sharedInput) close()                   {}
func (*sharedInput) files() []*os.File        { return nil }

func inheritedInput() *os.File { return nil }

func mapInput(*os.File, int64, []byte) (from, to int, err error) {
	return 0, 0, errors.New("memory is shared with the worker on Linux only")
}
