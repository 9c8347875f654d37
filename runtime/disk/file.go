package disk

import (
	"io"
	"io/fs"
	"os"
	"sync/atomic"
)

// File is a file open for writing. Its methods are those of os.File.
type File struct {
	f      *os.File
	handle uint64
}

var handles atomic.Uint64

// OpenFile opens a file as os.OpenFile does.
func OpenFile(name string, flag int, perm fs.FileMode) (*File, error) {
	file := &File{handle: handles.Add(1)}
	err := run(Op{Kind: OpOpen, Path: name, Handle: file.handle, Flag: flag}, func() (err error) {
		file.f, err = openFile(name, flag, perm)
		return err
	})
	if err != nil {
		if file.f != nil { // opened, but the watcher made it fail
			file.f.Close()
		}
		return nil, err
	}
	return file, nil
}

// CreateTemp makes a new file in dir and opens it, as os.CreateTemp does.
func CreateTemp(dir, pattern string) (*File, error) {
	var file *File
	_, err := unique(dir, pattern, func(name string) (err error) {
		file, err = OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		return err
	})
	return file, err
}

func (f *File) op(kind Kind) Op { return Op{Kind: kind, Path: f.f.Name(), Handle: f.handle} }

func (f *File) Name() string                                 { return f.f.Name() }
func (f *File) Stat() (fs.FileInfo, error)                   { return f.f.Stat() }
func (f *File) Read(p []byte) (int, error)                   { return f.f.Read(p) }
func (f *File) ReadAt(p []byte, off int64) (int, error)      { return f.f.ReadAt(p, off) }
func (f *File) Seek(offset int64, whence int) (int64, error) { return f.f.Seek(offset, whence) }

func (f *File) Write(p []byte) (n int, err error) {
	if !isWatched() {
		return f.f.Write(p)
	}
	op := f.op(OpWrite)
	op.Data = p
	if op.Offset, err = f.f.Seek(0, io.SeekCurrent); err != nil {
		return 0, err
	}
	err = run(op, func() (err error) {
		n, err = f.f.Write(p)
		return err
	})
	return n, err
}

func (f *File) WriteAt(p []byte, off int64) (n int, err error) {
	op := f.op(OpWrite)
	op.Data, op.Offset = p, off
	err = run(op, func() (err error) {
		n, err = f.f.WriteAt(p, off)
		return err
	})
	return n, err
}

// ReadFrom lets the system copy between files by itself where no one watches.
func (f *File) ReadFrom(r io.Reader) (int64, error) {
	if !isWatched() {
		return f.f.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{f}, r)
}

func (f *File) Truncate(size int64) error {
	op := f.op(OpTruncate)
	op.Offset = size
	return run(op, func() error { return f.f.Truncate(size) })
}

func (f *File) Chmod(perm fs.FileMode) error {
	return run(f.op(OpChmod), func() error { return f.f.Chmod(perm) })
}

// Sync flushes the content to stable storage; the name is its folder's (SyncDir).
func (f *File) Sync() error { return run(f.op(OpSync), f.f.Sync) }

func (f *File) Close() error { return run(f.op(OpClose), f.f.Close) }
