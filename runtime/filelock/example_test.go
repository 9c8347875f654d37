package filelock_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"triality/runtime/filelock"
)

// One holder at a time; who comes second is told at once.
func ExampleTry() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "training.lock")
	unlock, err := filelock.Try(path)
	if err != nil {
		log.Fatal(err)
	}
	second, err := filelock.Try(path)
	fmt.Println("second holder:", second != nil, err)
	unlock()
	third, err := filelock.Try(path)
	fmt.Println("after unlocking:", third != nil, err)
	third()
	// Output:
	// second holder: false <nil>
	// after unlocking: true <nil>
}
