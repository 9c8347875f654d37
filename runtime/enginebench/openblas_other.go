//go:build !(linux && (amd64 || arm64))

package enginebench

import "runtime"

func openBLAS([]string, int) (sgemm, string, error) {
	return nil, "", &missingError{"OpenBLAS", []string{"it is not looked for on " + runtime.GOOS}}
}
