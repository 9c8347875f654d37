package sandbox

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// reserve takes size bytes of address space without memory behind them.
func reserve(size uint64) []byte {
	p, err := windows.VirtualAlloc(0, uintptr(size), windows.MEM_RESERVE, windows.PAGE_NOACCESS)
	if err != nil {
		return nil
	}
	// The region is not Go's, so the collector neither moves nor frees it;
	// going through the variable's address is what vet accepts for that.
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&p)), size)
}

// commit makes the bytes from to to accessible; they read as zero.
func commit(b []byte, from, to uint64) bool {
	if from == to {
		return true
	}
	p := uintptr(unsafe.Pointer(unsafe.SliceData(b))) + uintptr(from)
	_, err := windows.VirtualAlloc(p, uintptr(to-from), windows.MEM_COMMIT, windows.PAGE_READWRITE)
	return err == nil
}

func release(b []byte) {
	// It can fail only for a region that VirtualAlloc did not return.
	_ = windows.VirtualFree(uintptr(unsafe.Pointer(unsafe.SliceData(b))), 0, windows.MEM_RELEASE)
}
