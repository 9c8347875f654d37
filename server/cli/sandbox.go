package cli

import (
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"triality/runtime/sandbox"
)

// openSandbox opens the metric sandbox with its cache of compiled modules in the user's cache folder: a
// Go module then starts in tens of milliseconds instead of a second. A system without such a folder
// goes without the cache. timeout bounds one call; 0 is the sandbox's own. log hears what a system lacks.
func openSandbox(timeout time.Duration, log *slog.Logger) (*sandbox.Host, error) {
	o := sandbox.Options{Timeout: timeout, Logger: log}
	if dir, err := os.UserCacheDir(); err == nil {
		dir = filepath.Join(dir, "triality")
		if os.MkdirAll(dir, 0o700) == nil {
			o.CacheDir = filepath.Join(dir, "metrics")
		}
	}
	return sandbox.NewHost(o)
}
