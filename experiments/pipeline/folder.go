package pipeline

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// stageFolder fills a temporary folder beside dir, which then takes dir's name; an old dir is
// replaced. After a failure dir is as it was.
func stageFolder(dir string, fill func(tmp string) error) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	tmp := dir + ".tmp"
	if err := os.RemoveAll(tmp); err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	err := os.Mkdir(tmp, 0o755)
	if err == nil {
		err = fill(tmp)
	}
	if err == nil {
		err = os.RemoveAll(dir)
	}
	if err == nil {
		err = os.Rename(tmp, dir)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", dir, err), os.RemoveAll(tmp))
	}
	return nil
}
