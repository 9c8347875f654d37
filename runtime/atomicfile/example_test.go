package atomicfile_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"triality/runtime/atomicfile"
)

// A file is replaced whole or not at all: when writing fails, what was there stays.
func ExampleWriteFile() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "result.json")
	write := func(text string, fails error) error {
		return atomicfile.WriteFile(path, 0o644, func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return errors.Join(err, fails)
		})
	}
	fmt.Println(write("first", nil))
	fmt.Println(write("sec", errors.New("the source broke off")) != nil)
	content, err := os.ReadFile(path)
	fmt.Println(string(content), err)
	// Output:
	// <nil>
	// true
	// first <nil>
}
