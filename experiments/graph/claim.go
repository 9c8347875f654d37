package graph

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"triality/runtime/disk"
	"triality/runtime/filelock"
)

// claim keeps every other process from making the same result until release: it waits for one that does, after which
// the result may be there.
func claim(ctx context.Context, s *Planned, tell func(string)) (release func(), err error) {
	parent := filepath.Dir(filepath.Clean(s.Dir))
	if err := disk.MkdirAll(parent, 0o755); err != nil {
		return nil, fmt.Errorf("output_dir: %w", err)
	}
	path := filepath.Join(parent, "."+filepath.Base(s.Dir)+".lock")
	if err := disk.Inside(path); err != nil {
		return nil, err
	}
	for told := false; ; {
		release, err := filelock.Hold(path)
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w; use a folder whose file system has locks", path, err)
		}
		if release != nil {
			return release, nil
		}
		if !told {
			tell("another run makes this result; waiting for it")
			told = true
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}
