package sandbox

import (
	"strings"
	"sync"
)

// cappedWriter keeps the first most bytes written to it and swallows the rest.
type cappedWriter struct {
	most    int
	mu      sync.Mutex
	b       []byte
	dropped bool
}

func (c *cappedWriter) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	keep := min(len(p), c.most-len(c.b))
	c.b = append(c.b, p[:keep]...)
	c.dropped = c.dropped || keep < len(p)
	return len(p), nil
}

// text returns what was kept as UTF-8, with a note where something was not.
func (c *cappedWriter) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := strings.ToValidUTF8(string(c.b), "\uFFFD")
	if c.dropped {
		s += "\n[more was written and dropped]"
	}
	return s
}
