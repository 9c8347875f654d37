package sandbox

import (
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sharedInput is anonymous memory that the host writes tables into, its worker
// maps, and large results come back through. The worker can write anywhere in
// it, at any time, and so spoil its own input and results; it cannot shorten
// it, which would make the host's next access fault.
type sharedInput struct {
	file *os.File
	mem  []byte // the whole file, mapped
}

// newSharedInput returns nil where the kernel has no such memory.
func newSharedInput() *sharedInput {
	fd, err := unix.MemfdCreate("metric-input", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil
	}
	in := &sharedInput{file: os.NewFile(uintptr(fd), "metric-input")}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_SEAL); err != nil {
		in.close()
		return nil
	}
	return in
}

// room returns n bytes at offset off, or nil where there are none to be had.
func (in *sharedInput) room(off, n int64) []byte {
	page := int64(os.Getpagesize())
	if size := (off + n + page - 1) / page * page; size > int64(len(in.mem)) {
		fd := int(in.file.Fd())
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return nil
		}
		if st.Size < size {
			if err := unix.Ftruncate(fd, size); err != nil {
				return nil
			}
		}
		mem, err := unix.Mmap(fd, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return nil
		}
		in.unmap()
		in.mem = mem
	}
	return in.mem[off : off+n : off+n]
}

// drop gives the pages back to the system; the next use gets fresh ones.
func (in *sharedInput) drop() {
	if in == nil || len(in.mem) == 0 {
		return
	}
	// Without it the pages stay until the worker ends, which is soon enough.
	_ = unix.Fallocate(int(in.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, int64(len(in.mem)))
}

func (in *sharedInput) size() int64 {
	if in == nil {
		return 0
	}
	return int64(len(in.mem))
}

func (in *sharedInput) unmap() {
	if in.mem != nil {
		_ = unix.Munmap(in.mem) // mapped by room
		in.mem = nil
	}
}

func (in *sharedInput) close() {
	if in != nil {
		in.unmap()
		_ = in.file.Close() // nothing is written back
	}
}

// files are what a worker inherits: the first becomes its file 3.
func (in *sharedInput) files() []*os.File {
	if in == nil {
		return nil
	}
	return []*os.File{in.file}
}

// inheritedInput is the worker's side of a sharedInput.
func inheritedInput() *os.File { return os.NewFile(3, "metric-input") }

// mapInput puts the bytes of file from off on into room, a part of a linear
// memory. Whole pages are mapped, copied only when the module writes to them,
// where the two lie alike in their pages; all else is read. It returns which
// bytes of room are mapped.
func mapInput(file *os.File, off int64, room []byte) (from, to int, err error) {
	page := uintptr(os.Getpagesize())
	at := uintptr(unsafe.Pointer(unsafe.SliceData(room)))
	head := int(-at & (page - 1))
	whole := (len(room) - head) &^ int(page-1)
	if at&(page-1) != uintptr(off)&(page-1) || whole <= 0 {
		_, err := file.ReadAt(room, off)
		return 0, 0, err
	}
	// The pages belong to the region that the allocator reserved, which is
	// unmapped as one.
	if _, err := unix.MmapPtr(int(file.Fd()), off+int64(head), unsafe.Pointer(&room[head]), uintptr(whole),
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED); err != nil {
		return 0, 0, err
	}
	// All of it is going to be read: taken in at once it costs half of what a
	// fault each sixteen pages does.
	_ = unix.Madvise(room[head:head+whole], unix.MADV_POPULATE_READ) // it is advice, and not known to older kernels
	if _, err := file.ReadAt(room[:head], off); err != nil && err != io.EOF {
		return head, head + whole, err
	}
	_, err = file.ReadAt(room[head+whole:], off+int64(head+whole))
	if err == io.EOF {
		err = nil
	}
	return head, head + whole, err
}
