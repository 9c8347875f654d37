//go:build unix

package sandbox

import (
	"fmt"
	"os"
	"syscall"
)

// checkPrivate refuses a folder in which others could leave machine code, or
// learn what is compiled.
func checkPrivate(dir string) error {
	st, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !st.IsDir() {
		return fmt.Errorf("%s is not a folder (%v)", dir, st.Mode())
	}
	if owner, ok := st.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d, this is user %d", dir, owner.Uid, os.Geteuid())
	}
	if p := st.Mode().Perm(); p&0o077 != 0 {
		return fmt.Errorf("%s is open to others (%v); run chmod 700 on it", dir, p)
	}
	return nil
}
