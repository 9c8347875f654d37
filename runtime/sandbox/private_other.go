//go:build !unix

package sandbox

import (
	"fmt"
	"os"
)

// checkPrivate sees that there is a folder. Its permissions are an access list
// that it inherits from the user's profile, where programs keep their caches.
func checkPrivate(dir string) error {
	st, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !st.IsDir() {
		return fmt.Errorf("%s is not a folder (%v)", dir, st.Mode())
	}
	return nil
}
