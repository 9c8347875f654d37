package store

import (
	"context"
	"sync"
	"time"

	"triality/experiments"
)

// The parts of a store that can fail by themselves.
const (
	partDatabase  = "database"
	partArtifacts = "artifacts"
)

// health is what the last writes said of the disk.
type health struct {
	mu     sync.Mutex
	broken error            // nothing is written until the store is opened anew
	faults map[string]error // part → why its last write failed
	probed time.Time
	stats  Stats
}

// Stats count what the writer did since the store was opened.
type Stats struct {
	Commits        int64         // durable ones
	Writes         int64         // in them
	CommitTime     time.Duration // in all
	Failures       int64         // commits and files that the disk refused
	Healthy        bool          // the last write worked
	EventStreams   int           // watchers, but for the server's own
	DroppedStreams int64         // watchers that were dropped because they read too slowly
	DatabaseBytes  int64
}

func (h *health) fail(part string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.faults == nil {
		h.faults = map[string]error{}
	}
	h.faults[part] = err
	h.stats.Failures++
}

func (h *health) poison(err error) {
	h.fail(partDatabase, err)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broken = err
}

func (h *health) works(part string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.faults, part)
}

func (h *health) commit(writes int, took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.faults, partDatabase)
	h.stats.Commits++
	h.stats.Writes += int64(writes)
	h.stats.CommitTime += took
}

// leastSpace is how much must be free for a store to be well: less takes small writes, and refuses the next
// that is not.
const leastSpace = 4 << 20

// probe says whether a part failed so long ago that trying it again is due, and the first reason why
// the store is not well.
func (h *health) probe() (due []string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.broken != nil {
		return nil, h.broken
	}
	retry := time.Since(h.probed) > time.Second
	for _, part := range []string{partDatabase, partArtifacts} {
		if e := h.faults[part]; e != nil {
			if err == nil {
				err = e
			}
			if retry {
				due = append(due, part)
			}
		}
	}
	if len(due) > 0 {
		h.probed = time.Now()
	}
	return due, err
}

// Health is nil when the last write worked and the disk has room, else why not. After a refused write it tries, once a
// second at most, a small one of the same kind, so that a disk with room again is well without anyone's
// writing.
func (s *Store) Health(ctx context.Context) error {
	due, err := s.health.probe()
	for _, part := range due {
		switch part {
		case partDatabase:
			_ = s.update(ctx, 1, func(t *txn) error { // its failure is noted where it happens
				return t.Bucket(bucketMeta).Put(keyOpened, []byte(time.Now().UTC().Format(time.RFC3339)))
			})
		case partArtifacts:
			s.blobs.probe()
		}
	}
	if len(due) > 0 {
		_, err = s.health.probe()
	}
	if err != nil {
		return err
	}
	free, err := s.FreeBytes()
	if err == nil && free < s.opts.leastSpace {
		return experiments.Errorf(experiments.CodeUnavailable, "store: %d bytes are left on the disk of %s, want at least %d: make room", free, s.Dir(), s.opts.leastSpace)
	}
	return err
}

// Stats gives the counts so far.
func (s *Store) Stats() Stats {
	s.health.mu.Lock()
	out := s.health.stats
	out.Healthy = s.health.broken == nil && len(s.health.faults) == 0
	s.health.mu.Unlock()
	out.EventStreams, out.DroppedStreams = s.broker.Len()-int(s.inner.Load()), s.broker.Dropped()
	if st, err := s.file.Stat(); err == nil {
		out.DatabaseBytes = st.Size()
	}
	return out
}
