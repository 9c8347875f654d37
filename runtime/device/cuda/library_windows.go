//go:build windows && (amd64 || arm64)

package cuda

import (
	"os"
	"path/filepath"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/windows"
)

var (
	driverNames = []string{"nvcuda.dll"}
	blasNames   = []string{"cublasLt64_13.dll", "cublasLt64_12.dll"}
	ncclNames   = []string{"nccl.dll"}
)

// systemFolders are the toolkit's, from the variable that its installer sets; version 13 keeps the
// libraries one folder deeper.
func systemFolders() []string {
	root := os.Getenv("CUDA_PATH")
	if root == "" {
		return nil
	}
	return []string{filepath.Join(root, "bin", "x64"), filepath.Join(root, "bin")}
}

func openLibrary(path string) (uintptr, error) {
	h, err := windows.LoadLibrary(path)
	return uintptr(h), err
}

func findSymbol(handle uintptr, name string) (uintptr, error) {
	return windows.GetProcAddress(windows.Handle(handle), name)
}

//go:uintptrescapes
func callC(function uintptr, args ...uintptr) uintptr {
	r, _, _ := purego.SyscallN(function, args...)
	return r
}
