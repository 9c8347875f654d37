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
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"triality/experiments"
	"triality/runtime/atomicfile"
	"triality/runtime/disk"
	"triality/server/events"
	"triality/server/store/boltpages"
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
	// WatchEvents and WatchBytes bound the newest events that are kept in memory for all watchers
	// together (4,096, 8 MiB); one that lags behind them is dropped and goes on from the log.
	WatchEvents int
	WatchBytes  int
	// MaxBytes refuses writes that would grow the database file past it; 0: no limit.
	MaxBytes int
	// KeepDeleted is how long what was deleted or changed in bulk can be undone (30 days). Its space is freed after it.
	KeepDeleted time.Duration
	// LockTimeout is how long to wait for another process to let go of the file (1 s).
	LockTimeout time.Duration

	endMigration func() error // called before a migration is committed, for tests that cut it short

	pinWriter  bool   // keeps the writer on one thread, for tests that count its system calls
	listPages  uint64 // a file of so many pages has its free ones listed before it is opened (4,096)
	leastSpace uint64 // Health wants so many bytes free (4 MiB); more for tests, whose disks have room
}

// KeepDeleted is how long what was deleted can be undone where nothing else is said.
const KeepDeleted = 30 * 24 * time.Hour

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
	if o.GroupDelay <= 0 {
		o.GroupDelay = 2 * time.Millisecond
	}
	if o.KeepDeleted <= 0 {
		o.KeepDeleted = KeepDeleted
	}
	if o.LockTimeout <= 0 {
		o.LockTimeout = time.Second
	}
	if o.listPages == 0 {
		o.listPages = 4096
	}
	o.leastSpace = max(o.leastSpace, leastSpace)
	return o
}

// Store is an open data folder. Its methods may be called from any goroutine.
type Store struct {
	path    string
	db      *bbolt.DB
	blobs   *blobs
	log     *slog.Logger
	opts    Options
	file    *os.File // the database's, as bbolt has it open
	broker  events.Broker
	inner   atomic.Int64 // watches of the server's own
	health  health
	turns   events.Turnstile  // of watches
	notes   []boltpages.Fault // what opening found and could live with
	writer  *writer
	sweeper *sweeper
	index   runIndex

	closeOnce sync.Once
	closeErr  error
}

// Open opens the store in dir, made if there is none. A database that another process holds is a
// CodeUnavailable error, one of a newer format or that is no store CodeInvalid.
func Open(dir string, o Options) (*Store, error) {
	o = o.withDefaults()
	if err := disk.MkdirAll(dir, 0o700); err != nil {
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
	s := &Store{path: path, log: o.Logger, opts: o, index: newRunIndex()}
	s.broker.Limits = events.Limits{Events: o.WatchEvents, Bytes: o.WatchBytes}
	if err := s.openFile(); err != nil {
		return nil, err
	}
	if err := s.begin(dir); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	return s, nil
}

// begin makes an opened file a store at work.
func (s *Store) begin(dir string) (err error) {
	if err := checkFormat(s.path, s.db); err != nil {
		return err
	}
	if err := s.migrate(); err != nil {
		return fmt.Errorf("open store %s: bring it to format %d: %w", s.path, FormatVersion, err)
	}
	if s.writer, err = startWriter(s); err != nil {
		return err
	}
	if s.blobs, err = openBlobs(filepath.Join(dir, "artifacts"), s); err != nil {
		s.writer.stop()
		return err
	}
	startSweeper(s)
	return nil
}

func boltOptions(o Options) *bbolt.Options {
	return &bbolt.Options{
		Timeout:        o.LockTimeout,
		FreelistType:   bbolt.FreelistMapType,
		NoFreelistSync: true, // writing the list grew a commit from 31 to 625 KB on a file with many free pages
		MaxSize:        o.MaxBytes,
	}
}

// openFile opens the database once its pages make sense. A page that does not would be bbolt's panic at
// the first reading that comes to it.
func (s *Store) openFile() error {
	opts := boltOptions(s.opts)
	opts.OpenFile = func(name string, flag int, perm os.FileMode) (*os.File, error) {
		f, err := os.OpenFile(name, flag, perm)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(lockFile(f, s.opts.LockTimeout), s.checkPages(f)); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		s.file = f
		return f, nil
	}
	err := guarded(func() (err error) {
		s.db, err = bbolt.Open(s.path, 0o600, opts)
		return err
	})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, berrors.ErrTimeout):
		return experiments.Errorf(experiments.CodeUnavailable,
			"open store: %s is in use: another triality process has it open; stop that process, or give this one another data folder", s.path)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum):
		return experiments.Errorf(experiments.CodeInvalid, "open store: %s is damaged or no triality database: restore a backup: %w", s.path, err)
	case experiments.CodeOf(err) == experiments.CodeInvalid:
		return err
	}
	return fmt.Errorf("open store %s: %w", s.path, err)
}

// DamageError says that pages of the database make no sense.
type DamageError struct {
	Path   string
	Faults []boltpages.Fault
}

func (d *DamageError) Error() string {
	text := fmt.Sprintf("open store: %s is damaged: %v", d.Path, d.Faults[0])
	if n := len(d.Faults) - 1; n > 0 {
		text += fmt.Sprintf(" (and %d more; `triality db check` lists them)", n)
	}
	return text + ": restore a backup"
}

// checkPages refuses a file that bbolt could not read. One damaged meta page is what a power cut may
// leave: the state before the newest commit is used, and opening the store makes the page anew.
func (s *Store) checkPages(f *os.File) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	checked, err := boltpages.Check(f, st.Size(), 0)
	if err != nil {
		return err
	}
	var bad []boltpages.Fault
	for _, fault := range checked.Faults {
		if fault.Recoverable {
			s.log.Warn("a meta page of the database is damaged", "file", s.path, "fault", fault)
			s.notes = append(s.notes, fault)
		} else {
			bad = append(bad, fault)
		}
	}
	if len(bad) == 0 {
		if checked.Pages() < s.opts.listPages {
			return nil // bbolt finds the free pages in no time
		}
		if err := checked.WriteList(f, int64(s.opts.MaxBytes)); err != nil && !noSpace(err) {
			return fmt.Errorf("list the free pages: %w", err)
		}
		return nil
	}
	if bad[0].Page == 0 {
		return experiments.Errorf(experiments.CodeInvalid, "open store: %s is damaged or no triality database: %s: restore a backup", s.path, bad[0].Text)
	}
	return experiments.Errorf(experiments.CodeInvalid, "%w", &DamageError{s.path, bad})
}

// create makes an empty database under another name and links it into place when it is durable: a file
// cut short in its first initialisation would be corrupt. The link fails if another process was first,
// and then that one's file is used.
func create(path string, o Options) error {
	dir := filepath.Dir(path)
	f, err := disk.CreateTemp(dir, "."+FileName+".*"+atomicfile.Suffix)
	if err != nil {
		return err
	}
	tmp := f.Name()
	defer disk.Remove(tmp)
	if err := f.Close(); err != nil {
		return err
	}
	db, err := bbolt.Open(tmp, 0o600, boltOptions(Options{LockTimeout: o.LockTimeout}))
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range bucketsOf(FormatVersion) {
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
	if err := disk.Link(tmp, path); err != nil && !errors.Is(err, os.ErrExist) {
		// A file system without hard links: a rename is as durable, but would replace another
		// process's new file, so only if there is none.
		if _, statErr := os.Stat(path); !errors.Is(statErr, os.ErrNotExist) {
			return statErr
		}
		if err := disk.Rename(tmp, path); err != nil {
			return err
		}
	}
	return disk.SyncDir(dir)
}

func checkFormat(path string, db *bbolt.DB) error {
	return db.View(func(tx *bbolt.Tx) error {
		n := formatOf(tx)
		if n == 0 {
			return experiments.Errorf(experiments.CodeInvalid, "open store: %s is a bbolt file but no triality database", path)
		}
		if n > FormatVersion {
			return experiments.Errorf(experiments.CodeInvalid,
				"open store: %s has format %d and this triality reads up to %d: use a newer triality", path, n, FormatVersion)
		}
		for _, name := range bucketsOf(n) {
			if tx.Bucket(name) == nil {
				return experiments.Errorf(experiments.CodeInvalid, "open store: %s lacks its part %q: restore a backup", path, name)
			}
		}
		return nil
	})
}

// formatOf is the file's format version, 0 for a file that is no store.
func formatOf(tx *bbolt.Tx) uint32 {
	meta := tx.Bucket(bucketMeta)
	if meta == nil {
		return 0
	}
	v := meta.Get(keyFormat)
	if len(v) != 4 {
		return 0
	}
	return binary.LittleEndian.Uint32(v)
}

// Close ends the watchers, finishes the writes under way and closes the file. Later writes are
// CodeUnavailable errors.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.broker.Close()
		s.sweeper.stop()
		s.writer.stop()
		<-s.sweeper.stopped
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
	err := guarded(func() error { return s.db.View(f) })
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return errClosed
	}
	return err
}

var errClosed = experiments.Errorf(experiments.CodeUnavailable, "the store is closed")
