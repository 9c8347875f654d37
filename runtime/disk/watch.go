package disk

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Kind is what an operation does.
type Kind string

const (
	OpOpen     Kind = "open" // may make or empty the file, as Flag says
	OpWrite    Kind = "write"
	OpTruncate Kind = "truncate"
	OpChmod    Kind = "chmod"
	OpSync     Kind = "sync" // a file's content
	OpClose    Kind = "close"
	OpMkdir    Kind = "mkdir"
	OpRename   Kind = "rename"
	OpExchange Kind = "exchange"
	OpLink     Kind = "link"
	OpSymlink  Kind = "symlink"
	OpRemove   Kind = "remove"
	OpSyncDir  Kind = "syncdir" // a folder's entries
)

// Op is one operation.
type Op struct {
	Kind   Kind
	Path   string // as the caller gave it
	To     string // the other name, or a symbolic link's target
	Handle uint64 // the open file; 0 for operations on names
	Flag   int    // of Open, as os.OpenFile has it
	Offset int64  // of Write; the size, of Truncate
	Data   []byte // of Write; the caller's, so to be copied
}

func (o Op) String() string {
	switch {
	case o.To != "":
		return fmt.Sprintf("%s %s %s", o.Kind, o.Path, o.To)
	case o.Kind == OpWrite:
		return fmt.Sprintf("%s %s [%d:%d]", o.Kind, o.Path, o.Offset, o.Offset+int64(len(o.Data)))
	}
	return fmt.Sprintf("%s %s", o.Kind, o.Path)
}

// A Watcher stands between an operation and the system: do does the operation, and what the watcher
// returns is what the caller gets. It may be called from several goroutines at once.
type Watcher func(op Op, do func() error) error

type watch struct {
	root    string // absolute
	watcher Watcher
}

var watches struct {
	sync.RWMutex
	list  []*watch // the longest roots first
	count atomic.Int32
}

// Watch gives a test's watcher every operation on root and what is below it, of any goroutine, until stop
// is called. Where one root lies in another the inner one's watcher is called alone.
func Watch(root string, watcher Watcher) (stop func()) {
	w := &watch{absolute(root), watcher}
	watches.Lock()
	defer watches.Unlock()
	watches.list = append(watches.list, w)
	slices.SortStableFunc(watches.list, func(a, b *watch) int { return len(b.root) - len(a.root) })
	watches.count.Add(1)
	return sync.OnceFunc(func() {
		watches.Lock()
		defer watches.Unlock()
		watches.list = slices.DeleteFunc(watches.list, func(o *watch) bool { return o == w })
		watches.count.Add(-1)
	})
}

func isWatched() bool { return watches.count.Load() > 0 }

func run(op Op, do func() error) error {
	if isWatched() {
		if w := watcherOf(op); w != nil {
			return w(op, do)
		}
	}
	return do()
}

func watcherOf(op Op) Watcher {
	path := absolute(op.Path)
	watches.RLock()
	defer watches.RUnlock()
	for _, w := range watches.list {
		if path == w.root || strings.HasPrefix(path, w.root+string(filepath.Separator)) {
			return w.watcher
		}
	}
	return nil
}

// absolute is a path from the root; where the working folder is gone, the path as it is.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return filepath.Clean(path)
}
