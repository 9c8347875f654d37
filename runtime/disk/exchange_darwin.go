package disk

import "golang.org/x/sys/unix"

// exchange is of APFS; HFS+ answers ENOTSUP, which is errors.ErrUnsupported.
func exchange(a, b string) error { return unix.RenamexNp(a, b, unix.RENAME_SWAP) }
