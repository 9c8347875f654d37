package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"triality/experiments"
	"triality/runtime/disk"
	"triality/server/store"
)

// What workers print is kept in two files a run: the newer one, and the one before it when that was full.
const (
	logSuffix = ".log"
	oldSuffix = ".log.1"
	logBytes  = 8 << 20 // of each
)

// logFile takes what a run's workers print. It never refuses: a full disk must not end a run.
type logFile struct {
	mu   sync.Mutex
	path string
	f    *disk.File
	size int64
}

func openLog(path string) (*logFile, error) {
	l := &logFile{path: path}
	return l, l.open()
}

func (l *logFile) open() error {
	f, err := disk.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("job log: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("job log: %w", err), f.Close())
	}
	l.f, l.size = f, info.Size()
	return nil
}

func (l *logFile) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size > logBytes && l.f != nil {
		l.f.Close()
		l.f = nil
		err := disk.Rename(l.path, l.path[:len(l.path)-len(logSuffix)]+oldSuffix)
		_ = l.open()
		if err != nil {
			l.size = 0 // the file goes on; it is tried again when as much has come once more
		}
	}
	if l.f != nil {
		n, _ := l.f.Write(b)
		l.size += int64(n)
	}
	return len(b), nil
}

func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return nil
	}
	return l.f.Close()
}

// Log gives what a run's workers printed, the oldest kept first.
// From is in bytes; beyond the end there is nothing.
func (q *Queue) Log(id string, from int64) (io.ReadCloser, error) {
	return OpenLog(q.store.Dir(), id, from)
}

// OpenLog is Queue.Log of a data folder; no queue need run. A run that no worker ran has no log.
func OpenLog(data, id string, from int64) (io.ReadCloser, error) {
	if filepath.Base(id) != id {
		return nil, experiments.Errorf(experiments.CodeInvalid, "run id %q", id)
	}
	base := filepath.Join(data, jobsDir, id)
	var parts []io.Reader
	var closers closeAll
	for _, suffix := range []string{oldSuffix, logSuffix} {
		f, err := os.Open(base + suffix)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("job log: %w", err), closers.Close())
		}
		parts, closers = append(parts, f), append(closers, f)
		info, err := f.Stat()
		if err == nil && from > 0 {
			_, err = f.Seek(min(from, info.Size()), io.SeekStart)
			from -= info.Size()
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("job log: %w", err), closers.Close())
		}
	}
	if len(parts) == 0 {
		return nil, experiments.Errorf(experiments.CodeNotFound, "run %s has no log: no worker of the queue ran it", id)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(parts...), closers}, nil
}

// writtenBy gives how many bytes of an attempt's log are kept behind the line that begins it; -1 where that line
// was dropped.
func writtenBy(data, id string, attempt int) (int64, error) {
	log, err := OpenLog(data, id, 0)
	if experiments.CodeOf(err) == experiments.CodeNotFound {
		return -1, nil
	}
	if err != nil {
		return 0, err
	}
	defer log.Close()
	text, err := io.ReadAll(log) // two files of bounded size
	if err != nil {
		return 0, fmt.Errorf("job log of run %s: %w", id, err)
	}
	line, _, _ := strings.Cut(beginning, "%s")
	at := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(fmt.Sprintf(line, attempt)) + `\d{4}-\d\d-\d\dT.*\n`).FindIndex(text)
	if at == nil {
		return -1, nil
	}
	return int64(len(text) - at[1]), nil
}

// prune removes the files of runs that are gone.
func prune(ctx context.Context, st *store.Store) error {
	entries, err := os.ReadDir(folder(st))
	if err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	for _, e := range entries {
		id, _, _ := strings.Cut(e.Name(), ".")
		if known, err := st.Known(ctx, id); err != nil || known {
			continue // also where it was deleted and can be brought back
		}
		if err := disk.Remove(filepath.Join(folder(st), e.Name())); err != nil {
			return fmt.Errorf("jobs: %w", err)
		}
	}
	return nil
}

// closeAll closes several files.
type closeAll []io.Closer

func (c closeAll) Close() error {
	var err error
	for _, each := range c {
		err = errors.Join(err, each.Close())
	}
	return err
}
