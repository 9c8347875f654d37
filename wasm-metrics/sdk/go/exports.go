//go:build wasip1

package metric

import "unsafe"

// Blocks handed across stay referenced here until the next call, so that the
// collector leaves them alone.
var input, output []byte

//go:wasmexport triality_metric_v1
func marker() {}

//go:wasmexport metric_alloc
func alloc(size int32) int32 {
	if size < 0 {
		return 0
	}
	input = make([]byte, int(size)+15)
	skip := -address(input) & 15
	input = input[skip : skip+uint32(size)]
	return int32(address(input))
}

//go:wasmexport metric_describe
func describe() int64 {
	output = []byte(description)
	return pack(output)
}

//go:wasmexport metric_eval
func evaluate(ptr, size int32) int64 {
	if len(input) != int(size) || address(input) != uint32(ptr) {
		output = errorBlock("metric_eval was not given what metric_alloc returned last")
		return pack(output)
	}
	output = Evaluate(input)
	return pack(output)
}

func address(b []byte) uint32 { return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

func pack(b []byte) int64 { return int64(address(b))<<32 | int64(len(b)) }
