//go:build !amd64

package cpu

import "runtime"

// supported gives the kernel sets this machine can run, best first.
func supported() []*kernels { return []*kernels{&portable} }

func processor() string { return runtime.GOARCH }
