//go:build linux && (amd64 || arm64)

package enginebench

import (
	"fmt"
	"runtime"

	"github.com/ebitengine/purego"
)

// Of cblas.h.
const (
	rowMajor = 101
	noTrans  = 111
)

// openBLAS opens the first library of the names and sets its threads. The name returned is what the
// library says of itself. Where none opens, the error is a *missingError.
func openBLAS(names []string, threads int) (sgemm, string, error) {
	missing := &missingError{peer: "OpenBLAS"}
	for _, name := range names {
		handle, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
		if err != nil {
			missing.reasons = append(missing.reasons, err.Error())
			continue
		}
		var (
			gemm       func(order, transA, transB, m, n, k int32, alpha float32, a *float32, lda int32, b *float32, ldb int32, beta float32, c *float32, ldc int32)
			setThreads func(int32)
			getThreads func() int32
			config     func() string
			core       func() string
		)
		for symbol, to := range map[string]any{
			"cblas_sgemm": &gemm, "openblas_set_num_threads": &setThreads, "openblas_get_num_threads": &getThreads,
			"openblas_get_config": &config, "openblas_get_corename": &core,
		} {
			address, err := purego.Dlsym(handle, symbol)
			if err != nil {
				return nil, "", fmt.Errorf("%s: %w", name, err)
			}
			purego.RegisterFunc(to, address)
		}
		setThreads(int32(threads))
		if got := getThreads(); got != int32(threads) {
			return nil, "", fmt.Errorf("%s takes %d threads, %d were asked for", name, got, threads)
		}
		multiply := func(n int, a, b, c []float32) {
			s := int32(n)
			gemm(rowMajor, noTrans, noTrans, s, s, s, 1, &a[0], s, &b[0], s, 0, &c[0], s)
			runtime.KeepAlive([][]float32{a, b, c})
		}
		return multiply, fmt.Sprintf("%s, kernels of %s", config(), core()), nil
	}
	return nil, "", missing
}
