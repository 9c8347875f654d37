package disk

import (
	"errors"

	"golang.org/x/sys/unix"
)

// exchange needs Linux 3.15 and a file system that can: ext4, XFS, Btrfs, tmpfs and overlayfs can, NFS,
// FAT and 9p cannot.
func exchange(a, b string) error {
	err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return errors.ErrUnsupported
	}
	return err
}
