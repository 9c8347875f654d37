package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ErrNotRegular is about what is no file with an end: a folder, a pipe, a device or a socket.
var ErrNotRegular = errors.New("want a regular file; write what it gives into one")

// MaxText bounds the files that are read whole: configurations, tokenizers and the like, of which the largest
// have some tens of megabytes.
const MaxText = 256 << 20

// ErrTooLarge is about a file that has more than its reader takes.
var ErrTooLarge = errors.New("file too large")

// Regular is an error about a name that is no regular file.
func Regular(name string) error {
	if err := Inside(name); err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	return regular(name, info)
}

// OpenRegular opens a file to read. What would never end, or wait for someone who writes to it, is
// ErrNotRegular.
func OpenRegular(name string) (*os.File, error) {
	if err := Regular(name); err != nil { // before opening: a pipe without a writer would be waited for
		return nil, err
	}
	f, err := Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = regular(name, info)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// ReadRegular reads a file of at most limit bytes, however it grows meanwhile.
func ReadRegular(name string, limit int64) (data []byte, err error) {
	f, err := OpenRegular(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err = io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, fmt.Errorf("%s: %w: it has more than %d bytes", name, ErrTooLarge, limit)
	}
	return data, err
}

func regular(name string, info fs.FileInfo) error {
	kind := "a device"
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		kind = "a folder"
	case mode&fs.ModeNamedPipe != 0:
		kind = "a named pipe"
	case mode&fs.ModeSocket != 0:
		kind = "a socket"
	}
	return fmt.Errorf("%s: is %s; %w", name, kind, ErrNotRegular)
}
