//go:build linux && (amd64 || arm64)

package cuda

import "github.com/ebitengine/purego"

var (
	driverNames = []string{"libcuda.so.1", "libcuda.so"}
	blasNames   = []string{"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"}
	ncclNames   = []string{"libnccl.so.2", "libnccl.so"}
)

func systemFolders() []string {
	return []string{"/usr/local/cuda/lib64", "/usr/local/cuda-13/lib64", "/usr/local/cuda-12/lib64", "/opt/cuda/lib64"}
}

func openLibrary(path string) (uintptr, error) {
	return purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
}

func findSymbol(handle uintptr, name string) (uintptr, error) { return purego.Dlsym(handle, name) }

//go:uintptrescapes
func callC(function uintptr, args ...uintptr) uintptr {
	r, _, _ := purego.SyscallN(function, args...)
	return r
}
