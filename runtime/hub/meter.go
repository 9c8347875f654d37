package hub

import (
	"io"
	"sync"
)

// meter adds up the progress of files under way at once.
type meter struct {
	mu   sync.Mutex
	now  Progress
	tell func(Progress) // may be nil
}

func newMeter(ref Ref, files []File, tell func(Progress)) *meter {
	m := &meter{now: Progress{Ref: ref, TotalFiles: len(files)}, tell: tell}
	for _, f := range files {
		m.now.TotalBytes += max(0, f.Size)
	}
	return m
}

// add counts bytes; a negative count takes back what has to come again.
func (m *meter) add(file string, bytes int64) { m.move(file, bytes, 0) }

// grow adds a size that the listing did not give.
func (m *meter) grow(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now.TotalBytes += bytes
}

// done counts a file.
func (m *meter) done(file string) { m.move(file, 0, 1) }

func (m *meter) move(file string, bytes int64, files int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now.File = file
	m.now.Bytes += bytes
	m.now.Files += files
	if m.tell != nil {
		m.tell(m.now)
	}
}

// countedReader tells how much was read of a body that a transport reads on its own goroutine.
type countedReader struct {
	io.Reader
	count func(int64)

	mu    sync.Mutex
	total int64
	over  bool // the exchange failed; what is still read is not counted
}

func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	if n > 0 && !r.over {
		r.total += int64(n)
		r.count(int64(n))
	}
	return n, err
}

// takeBack ends the counting and gives what was counted.
func (r *countedReader) takeBack() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	return r.total
}
