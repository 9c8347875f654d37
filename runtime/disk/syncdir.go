//go:build !windows

package disk

import (
	"errors"
)

func syncDir(dir string) error {
	d, err := Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
