package hub

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"triality/runtime/disk"
	"triality/runtime/filelock"
)

// lock takes the lock of a blob, the same one huggingface_hub takes, and gives what releases it. While
// another process holds it, it waits: what that one downloads need not be downloaded twice.
func (c *Client) lock(ctx context.Context, repo, hash string, s subject) (unlock func(), err error) {
	path := c.cache.lockPath(repo, hash)
	if err := disk.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, diskFailure(fmt.Errorf("hub cache: %w", err), c.cache.dir)
	}
	const longest = 500 * time.Millisecond
	for pause, said := 5*time.Millisecond, false; ; pause = min(2*pause, longest) {
		unlock, err := filelock.Try(path)
		switch {
		case err != nil:
			return nil, diskFailure(fmt.Errorf("hub cache: lock %s: %w; HF_HUB_CACHE can name a folder whose file system has locks", path, err), c.cache.dir)
		case unlock != nil:
			return unlock, nil
		case pause == longest && !said:
			c.say(fmt.Sprintf("%s: another process is downloading it; waiting", s))
			said = true
		}
		if err := sleepFor(ctx, pause); err != nil {
			return nil, err
		}
	}
}
