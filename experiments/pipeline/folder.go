package pipeline

import (
	"fmt"
	"os"

	"triality/runtime/atomicfile"
)

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// stageFolder writes a folder whole or not at all; an old one is replaced.
func stageFolder(dir string, fill func(tmp string) error) error {
	if err := atomicfile.WriteFolder(dir, fill); err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	return nil
}
