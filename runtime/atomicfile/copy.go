package atomicfile

import (
	"errors"
	"io"

	"triality/runtime/disk"
)

// CopyFile copies a file, whole or not at all, with permissions 0644. Where there is none the error is
// fs.ErrNotExist.
func CopyFile(from, to string) error {
	in, err := disk.OpenRegular(from)
	if err != nil {
		return err
	}
	err = WriteFile(to, 0o644, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
	return errors.Join(err, in.Close())
}
