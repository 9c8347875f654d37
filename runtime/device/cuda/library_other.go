//go:build !((linux || windows) && (amd64 || arm64))

package cuda

import (
	"fmt"
	"runtime"
)

var driverNames, blasNames, ncclNames = []string{"the CUDA driver"}, []string{"cuBLASLt"}, []string{"NCCL"}

func systemFolders() []string { return nil }

func openLibrary(string) (uintptr, error) {
	return 0, fmt.Errorf("NVIDIA has none for %s on %s", runtime.GOOS, runtime.GOARCH)
}

func findSymbol(_ uintptr, name string) (uintptr, error) {
	return 0, fmt.Errorf("%s: no library on %s", name, runtime.GOOS)
}

// callC is never reached: no library opens here.
func callC(uintptr, ...uintptr) uintptr { return 1 }
