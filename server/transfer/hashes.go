package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"triality/experiments"
	"triality/runtime/atomicfile"
	"triality/runtime/disk"
	"triality/server/objects"
)

const (
	// maxHashes bounds the hashes that are kept.
	maxHashes = 200_000
	// settled is how long a file must have been as it is for its hash to be kept: a change within the clock's next tick
	// would not be seen.
	settled = 2 * time.Second
)

// hashes remembers the hashes of files by what the system says of them, so that a large model is not read for every
// job. It is safe for concurrent use.
type hashes struct {
	path string // file that they are kept in
	// own says that no one else writes the files: how many names one has changes nothing then, and a hash is kept at once.
	own bool

	mu      sync.Mutex
	known   map[string]hashed
	changed bool
}

// hashed is a file as it was when it was read.
type hashed struct {
	State state  `json:"state"`
	Sum   string `json:"sha256"`
}

// state is what the system says of a file; it changes when the file does.
type state struct {
	Device  uint64 `json:"device,omitempty"`
	Inode   uint64 `json:"inode,omitempty"`
	Size    int64  `json:"size"`
	Written int64  `json:"written"` // modification time, ns
	Changed int64  `json:"changed"` // change of content, name or permissions, ns; 0 where the system does not say
}

// openHashes reads what was kept; a file that does not parse is as good as none.
func openHashes(path string, own bool) *hashes {
	h := &hashes{path: path, own: own, known: map[string]hashed{}}
	if text, err := disk.ReadRegular(path, disk.MaxText); err == nil && json.Unmarshal(text, &h.known) != nil || h.known == nil {
		h.known = map[string]hashed{}
	}
	return h
}

// save keeps the hashes.
func (h *hashes) save() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.changed {
		return nil
	}
	for path := range h.known {
		if len(h.known) <= maxHashes {
			break
		}
		delete(h.known, path)
	}
	text, err := json.Marshal(h.known)
	if err != nil {
		return fmt.Errorf("hashes of files: %w", err)
	}
	h.changed = false
	return atomicfile.WriteFile(h.path, 0o600, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// of hashes a regular file, or gives the hash that it had where it has not changed. One that changes meanwhile is
// CodeConflict.
func (h *hashes) of(ctx context.Context, path string) (id objects.ID, at state, err error) {
	f, err := disk.OpenRegular(path)
	if err != nil {
		return id, at, err
	}
	defer f.Close() // it was only read
	info, err := f.Stat()
	if err != nil {
		return id, at, err
	}
	at = h.stateOf(info)
	abs, err := filepath.Abs(path)
	if err != nil {
		return id, at, err
	}
	h.mu.Lock()
	kept, ok := h.known[abs]
	h.mu.Unlock()
	if ok && kept.State == at {
		return objects.ID{SHA256: kept.Sum, Size: at.Size}, at, nil
	}
	began := time.Now()
	sum := sha256.New()
	n, err := io.Copy(sum, contextReader{ctx, f})
	if err != nil {
		return id, at, fmt.Errorf("hash %s: %w", path, err)
	}
	if info, err = f.Stat(); err != nil {
		return id, at, err
	}
	if h.stateOf(info) != at || n != at.Size {
		return id, at, changedError(path)
	}
	id = objects.ID{SHA256: hex.EncodeToString(sum.Sum(nil)), Size: n}
	if h.own || began.Sub(time.Unix(0, max(at.Written, at.Changed))) >= settled {
		h.mu.Lock()
		h.known[abs], h.changed = hashed{at, id.SHA256}, true
		h.mu.Unlock()
	}
	return id, at, nil
}

// note keeps the hash of a file that was just written with that content.
func (h *hashes) note(path string, id objects.ID) {
	info, err := os.Lstat(path)
	abs, absErr := filepath.Abs(path)
	if err != nil || absErr != nil || !info.Mode().IsRegular() || info.Size() != id.Size {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.known[abs], h.changed = hashed{h.stateOf(info), id.SHA256}, true
}

// stateOf is what the system says of a file.
func (h *hashes) stateOf(info fs.FileInfo) state {
	s := stateOf(info)
	if h.own {
		s.Changed = 0
	}
	return s
}

func changedError(path string) error {
	return experiments.Errorf(experiments.CodeConflict, "%s changed while it was read; start the run again when nothing writes to it", path)
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}
