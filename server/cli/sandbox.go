package cli

import (
	"os"
	"path/filepath"
	"time"

	"triality/runtime/sandbox"
)

// openSandbox opens the metric sandbox with its cache of compiled modules in the user's cache folder: a
// Go module then starts in tens of milliseconds instead of a second. A system without such a folder
// goes without the cache. timeout bounds one call; 0 is the sandbox's own.
func openSandbox(timeout time.Duration) (*sandbox.Host, error) {
	o := sandbox.Options{Timeout: timeout}
	if dir, err := os.UserCacheDir(); err == nil {
		dir = filepath.Join(dir, "triality")
		if os.MkdirAll(dir, 0o700) == nil {
			o.CacheDir = filepath.Join(dir, "metrics")
		}
	}
	return sandbox.NewHost(o)
}
