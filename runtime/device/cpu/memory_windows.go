package cpu

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// physicalMemory is the machine's memory in bytes, 0 when unknown.
func physicalMemory() int64 {
	var s struct { // MEMORYSTATUSEX
		length, load                   uint32
		total, available               uint64
		totalPage, availablePage       uint64
		totalVirtual, availableVirtual uint64
		availableExtended              uint64
	}
	s.length = uint32(unsafe.Sizeof(s))
	proc := windows.NewLazySystemDLL("kernel32.dll").NewProc("GlobalMemoryStatusEx")
	if ok, _, _ := proc.Call(uintptr(unsafe.Pointer(&s))); ok == 0 {
		return 0
	}
	return int64(s.total)
}
