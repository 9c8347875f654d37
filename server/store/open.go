package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"triality/experiments"
	"triality/runtime/atomicfile"
	"triality/server/events"
)

// Options of Open. The zero value serves.
type Options struct {
	Logger *slog.Logger // silent when nil
	// GroupRecords and GroupDelay bound a group commit: it closes at so many records (1,000), or when
	// no more came for the delay (2 ms). A lone writer does not wait.
	GroupRecords int
	GroupDelay   time.Duration
	// EventLog and EventLogBytes bound the event log (10,000 events, 8 MiB); the oldest go first.
	EventLog      int
	EventLogBytes int
	// WatchBuffer is how many events a watcher may lag behind before it is dropped (1,024).
	WatchBuffer int
	// MaxBytes refuses writes that would grow the database file past it; 0: no limit.
	MaxBytes int
	// LockTimeout is how long to wait for another process to let go of the file (1 s).
	LockTimeout time.Duration
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	set := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	set(&o.GroupRecords, 1000)
	set(&o.EventLog, 10_000)
	set(&o.EventLogBytes, 8<<20)
	set(&o.WatchBuffer, 1024)
	if o.GroupDelay <= 0 {
		o.GroupDelay = 2 * time.Millisecond
	}
	if o.LockTimeout <= 0 {
		o.LockTimeout = time.Second
	}
	return o
}

// Store is an open data folder. Its methods may be called from any goroutine.
type Store struct {
	path   string
	db     *bbolt.DB
	blobs  *blobs
	log    *slog.Logger
	opts   Options
	broker events.Broker
	writer *writer

	closeOnce sync.Once
	closeErr  error
}

// Open opens the store in dir, made if there is none. A database that another process holds is a
// CodeUnavailable error, one of a newer format or that is no store CodeInvalid.
func Open(dir string, o Options) (*Store, error) {
	o = o.withDefaults()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	path := filepath.Join(dir, FileName)
	switch st, err := os.Stat(path); {
	case errors.Is(err, os.ErrNotExist):
		if err := create(path, o); err != nil {
			return nil, fmt.Errorf("make store %s: %w", path, err)
		}
	case err != nil:
		return nil, fmt.Errorf("open store: %w", err)
	case st.Size() == 0:
		// bbolt would make a database of it, hiding that something emptied the file.
		return nil, experiments.Errorf(experiments.CodeInvalid, "open store: %s is empty: restore a backup, or remove the file to start anew", path)
	}
	db, err := openFile(path, o)
	if err != nil {
		return nil, err
	}
	if err := checkFormat(path, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	blobs, err := openBlobs(filepath.Join(dir, "artifacts"))
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s := &Store{path: path, db: db, blobs: blobs, log: o.Logger, opts: o}
	if s.writer, err = startWriter(s); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

func boltOptions(o Options) *bbolt.Options {
	return &bbolt.Options{
		Timeout:        o.LockTimeout,
		FreelistType:   bbolt.FreelistMapType,
		NoFreelistSync: true, // writing the list grew a commit from 31 to 625 KB on a file with many free pages
		MaxSize:        o.MaxBytes,
	}
}

func openFile(path string, o Options) (*bbolt.DB, error) {
	db, err := bbolt.Open(path, 0o600, boltOptions(o))
	switch {
	case err == nil:
		return db, nil
	case errors.Is(err, berrors.ErrTimeout):
		return nil, experiments.Errorf(experiments.CodeUnavailable,
			"open store: %s is in use: another triality process has it open; stop that process, or give this one another data folder", path)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum):
		return nil, experiments.Errorf(experiments.CodeInvalid, "open store: %s is damaged or no triality database: restore a backup: %w", path, err)
	}
	return nil, fmt.Errorf("open store %s: %w", path, err)
}

// create makes an empty database under another name and links it into place when it is durable: a file
// cut short in its first initialisation would be corrupt. The link fails if another process was first,
// and then that one's file is used.
func create(path string, o Options) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+FileName+".*"+atomicfile.Suffix)
	if err != nil {
		return err
	}
	tmp := f.Name()
	defer os.Remove(tmp)
	if err := f.Close(); err != nil {
		return err
	}
	db, err := bbolt.Open(tmp, 0o600, boltOptions(Options{LockTimeout: o.LockTimeout}))
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		meta := tx.Bucket(bucketMeta)
		if err := meta.Put(keyCreated, []byte(time.Now().UTC().Format(time.RFC3339))); err != nil {
			return err
		}
		return meta.Put(keyFormat, binary.LittleEndian.AppendUint32(nil, FormatVersion))
	})
	if err := errors.Join(err, db.Sync(), db.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp, path); err != nil && !errors.Is(err, os.ErrExist) {
		// A file system without hard links: a rename is as durable, but would replace another
		// process's new file, so only if there is none.
		if _, statErr := os.Stat(path); !errors.Is(statErr, os.ErrNotExist) {
			return statErr
		}
		if err := os.Rename(tmp, path); err != nil {
			return err
		}
	}
	return atomicfile.SyncDir(dir)
}

func checkFormat(path string, db *bbolt.DB) error {
	return db.View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		var v []byte
		if meta != nil {
			v = meta.Get(keyFormat)
		}
		if len(v) != 4 {
			return experiments.Errorf(experiments.CodeInvalid, "open store: %s is a bbolt file but no triality database", path)
		}
		if n := binary.LittleEndian.Uint32(v); n > FormatVersion {
			return experiments.Errorf(experiments.CodeInvalid,
				"open store: %s has format %d and this triality reads up to %d: use a newer triality", path, n, FormatVersion)
		}
		for _, name := range buckets {
			if tx.Bucket(name) == nil {
				return experiments.Errorf(experiments.CodeInvalid, "open store: %s lacks its part %q: restore a backup", path, name)
			}
		}
		return nil
	})
}

// Close ends the watchers, finishes the writes under way and closes the file. Later writes are
// CodeUnavailable errors.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.broker.Close()
		s.writer.stop()
		s.closeErr = s.db.Close()
	})
	return s.closeErr
}

// Dir is the data folder.
func (s *Store) Dir() string { return filepath.Dir(s.path) }

// view runs f in a read transaction, to be kept short: an open one keeps every page written meanwhile.
func (s *Store) view(ctx context.Context, f func(tx *bbolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := s.db.View(f)
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return errClosed
	}
	return err
}

var errClosed = experiments.Errorf(experiments.CodeUnavailable, "the store is closed")
