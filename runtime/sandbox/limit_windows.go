package sandbox

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

// limitProcess puts this process into a job object of its own that bounds its
// committed memory in bytes and its processor time in seconds, forbids further
// processes, and ends it when its last handle closes.
func limitProcess(memory, worker int64, cpu uint64) (granted, error) {
	g := granted{MemoryBytes: memory, CPUSeconds: cpu}
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return g, fmt.Errorf("create job object: %w", err)
	}
	info := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{
		BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{
			PerProcessUserTimeLimit: int64(cpu) * 10_000_000, // of 100 ns
			ActiveProcessLimit:      1,
			LimitFlags: windows.JOB_OBJECT_LIMIT_PROCESS_MEMORY | windows.JOB_OBJECT_LIMIT_PROCESS_TIME |
				windows.JOB_OBJECT_LIMIT_ACTIVE_PROCESS | windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE |
				windows.JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION,
		},
		ProcessMemoryLimit: uintptr(memory + worker),
	}
	if _, err := windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info))); err != nil {
		return g, fmt.Errorf("set job limits: %w", err)
	}
	// The handle stays open as long as the process: closing it would end it.
	if err := windows.AssignProcessToJobObject(job, windows.CurrentProcess()); err != nil {
		return g, fmt.Errorf("join job object: %w", err)
	}
	return g, nil
}
