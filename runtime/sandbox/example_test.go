package sandbox_test

import (
	"fmt"

	"triality/runtime/sandbox"
)

// Preflight bounds a module before anything compiles it: these sixteen bytes claim four billion functions.
func ExamplePreflight() {
	wasm := []byte("\x00asm\x01\x00\x00\x00\x03\x06\xff\xff\xff\xff\x0f\x00")
	_, err := sandbox.Preflight(wasm)
	fmt.Println("refused:", err != nil)
	// Output: refused: true
}
