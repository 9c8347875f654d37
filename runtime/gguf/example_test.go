package gguf_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"triality/runtime/gguf"
)

// Write a GGUF file with one matrix in blocks of eight bits, and read it back. Export makes one of a
// whole model folder.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.gguf")
	err = gguf.Write(path, []gguf.Pair{{Key: "general.architecture", Value: "llama"}}, []gguf.Tensor{{
		Name: "output.weight", Type: gguf.Q8_0, Shape: []int{1, 32},
		Read: func(dst []float32, at int) error {
			for i := range dst {
				dst[i] = float32(at + i)
			}
			return nil
		},
	}})
	if err != nil {
		log.Fatal(err)
	}

	f, err := gguf.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	values, err := f.Float32("output.weight")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %d values, the last is %.0f\n", f.Architecture(), len(values), values[31])
	// Output: llama: 32 values, the last is 31
}
