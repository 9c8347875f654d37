//go:build ignore

// Copysdk copies the SDKs of wasm-metrics/sdk beside the templates, where
// go:embed can reach them.
package main

import (
	"log"
	"os"
	"path/filepath"
)

func main() {
	for to, from := range map[string]string{
		"go/metric":      "go",
		"c":              "c",
		"assemblyscript": "assemblyscript",
		"rust":           "rust",
	} {
		if err := copyFolder(filepath.Join("..", "..", "wasm-metrics", "sdk", from), filepath.Join("files", to)); err != nil {
			log.Fatal(err)
		}
	}
}

func copyFolder(from, to string) error {
	files, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, f := range files {
		if f.Name() == "go.mod" || f.Name() == "sdk_test.go" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(from, f.Name()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, f.Name()+".tmpl"), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}
