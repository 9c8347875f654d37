package safetensors_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"triality/runtime/safetensors"
)

// Write a file of two tensors, one rounded to bfloat16, and read them back.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.safetensors")
	err = safetensors.Write(path, []safetensors.Tensor{
		{Name: "weight", Shape: []int{2, 2}, Float32: []float32{1, 2, 3, 4}},
		{Name: "bias", DType: safetensors.BF16, Shape: []int{2}, Float32: []float32{0.5, 1.001}},
	}, map[string]string{"format": "pt"})
	if err != nil {
		log.Fatal(err)
	}

	f, err := safetensors.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	for _, name := range f.Names() {
		info, _ := f.Info(name)
		values, err := f.Float32(name)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(name, info.DType, info.Shape, values)
	}
	// Output:
	// weight F32 [2 2] [1 2 3 4]
	// bias BF16 [2] [0.5 1]
}
