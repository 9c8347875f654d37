package sandbox

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugeFrom is by how many bytes a memory must grow at once for huge pages: a
// small one's first access would zero two megabytes to use some kilobytes.
const hugeFrom = 4 << 20

// advise asks for huge pages behind bytes that just became accessible; a large
// memory is otherwise taken from the system 4 KiB at a time, which costs more
// than filling it.
func advise(b []byte) {
	if len(b) >= hugeFrom {
		_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // it is advice
	}
}

// maxWashed bounds, in bytes, what an idle worker keeps of the last instance's
// memory.
const maxWashed = 64 << 20

// wash makes accessible memory read as zero, whose pages from to to are a
// file's, and reports whether it could; above maxWashed it does not try. Only
// pages there are get cleared, so that none is made.
func wash(b []byte, from, to uint64) bool {
	if to > from {
		if _, err := unix.MmapPtr(-1, 0, unsafe.Pointer(&b[from]), uintptr(to-from), unix.PROT_READ|unix.PROT_WRITE,
			unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_FIXED); err != nil {
			return false
		}
	}
	page := os.Getpagesize()
	resident := make([]byte, (len(b)+page-1)/page)
	if len(b) > 0 && mincore(b, resident) != nil {
		return false
	}
	kept := 0
	for _, r := range resident {
		kept += int(r&1) * page
	}
	if kept > maxWashed {
		return false
	}
	for i, r := range resident {
		if r&1 != 0 {
			clear(b[i*page : min((i+1)*page, len(b))])
		}
	}
	return true
}

// mincore says for each page of b whether it has memory behind it: in bit 0 of
// a byte each.
func mincore(b, resident []byte) error {
	_, _, err := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), uintptr(unsafe.Pointer(&resident[0])))
	if err != 0 {
		return err
	}
	return nil
}
