package audit

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"triality/experiments"
	"triality/runtime/disk"
	"triality/runtime/filelock"
)

// SegmentBytes is from which size on a segment is followed by another.
const SegmentBytes = 64 << 20

// Log is a log that is being written. It is safe for use by several goroutines.
type Log struct {
	dir    string
	salt   []byte
	limit  int64 // SegmentBytes
	unlock func()

	mu     sync.Mutex
	head   Head
	file   *disk.File // the last segment; nil: there is none yet
	size   int64
	broken error
}

// Open opens a folder's log, which it makes where there is none. An entry that a dying process had not finished, and whose
// answer had not left, is taken away; log, not nil, hears of it. A log that ends otherwise than its anchor says is refused.
func Open(dir string, log *slog.Logger) (l *Log, err error) {
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	unlock, err := filelock.Try(filepath.Join(dir, lockName))
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	if unlock == nil {
		return nil, experiments.Errorf(experiments.CodeUnavailable, "audit log %s: another process writes it", dir)
	}
	defer func() {
		if err != nil {
			unlock()
		}
	}()
	if err := create(dir); err != nil {
		return nil, err
	}
	l = &Log{dir: dir, limit: SegmentBytes, unlock: unlock}
	if l.salt, err = readSalt(dir); err != nil {
		return nil, err
	}
	if l.head, err = readAnchor(dir); err != nil {
		return nil, err
	}
	if err := l.recover(log); err != nil {
		return nil, err
	}
	return l, nil
}

// changed is the error of a log that is not what its anchor says.
func (l *Log) changed(what string) error {
	return experiments.Errorf(experiments.CodeInvalid, "audit log %s %s; `triality audit verify` says where", l.dir, what)
}

// recover finds the anchored entry and what a dying process left behind it: nothing, a whole entry, or a part of one.
func (l *Log) recover(log *slog.Logger) (err error) {
	all, err := segments(l.dir)
	if err != nil {
		return err
	}
	var last segment // that the anchored entry is in, or the first
	var newer []segment
	for _, s := range all {
		if s.first <= max(l.head.Seq, 1) {
			last = s
		} else {
			newer = append(newer, s)
		}
	}
	switch {
	case last.path == "" && l.head.Seq > 0:
		return l.changed("lacks its last segment")
	case last.path == "" && len(newer) > 0, len(newer) > 1, len(newer) == 1 && newer[0].first != l.head.Seq+1:
		return l.changed("has a segment too many")
	case last.path == "":
		return nil
	}
	end, rest, err := l.after(last)
	if err != nil {
		return err
	}
	if len(newer) == 1 {
		if rest.bytes > 0 {
			return l.changed("goes on in two segments")
		}
		last, end = newer[0], 0
		if rest, err = tailOf(last, 0, l.head); err != nil {
			return err
		}
	}
	if l.file, err = disk.OpenFile(last.path, os.O_RDWR, 0o600); err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.file.Close())
		}
	}()
	l.size = end
	switch {
	case rest.bytes == 0:
		return nil
	case rest.whole != nil:
		// It and its folder are flushed again: the process may have died before either.
		if err = errors.Join(l.file.Sync(), disk.SyncDir(l.dir), writeAnchor(l.dir, *rest.whole)); err != nil {
			return fmt.Errorf("audit log: %w", err)
		}
		l.head, l.size = *rest.whole, end+rest.bytes
	case rest.partial:
		if log != nil {
			log.Warn("audit log: an entry that was not finished is taken away; its answer had not left", "file", last.path, "bytes", rest.bytes)
		}
		if err = errors.Join(l.file.Truncate(end), l.file.Sync()); err != nil {
			return fmt.Errorf("audit log: %w", err)
		}
	default:
		err = l.changed("goes on behind its anchor")
		return err
	}
	return nil
}

// rest is what stands behind an anchored entry.
type rest struct {
	bytes   int64
	whole   *Head // all of it is one entry that follows
	partial bool  // there is no whole entry in it, and no more than one
}

// after finds the anchored entry in a segment and gives where it ends and what stands behind it.
func (l *Log) after(s segment) (end int64, r rest, err error) {
	if l.head.Seq > 0 {
		end = -1
		seq := s.first - 1
		err = s.lines(func(line []byte, at int64) error {
			if seq++; seq == l.head.Seq {
				if e, err := parse(line); err == nil && e.Seq == seq && e.Hash == l.head.Hash {
					end = at + int64(len(line))
				}
			}
			return nil
		})
		if err == nil && end < 0 {
			err = l.changed("does not hold the entry that its anchor names")
		}
		if err != nil {
			return 0, r, err
		}
	}
	r, err = tailOf(s, end, l.head)
	return end, r, err
}

func tailOf(s segment, from int64, head Head) (r rest, err error) {
	lines, entries := 0, 0
	err = s.lines(func(line []byte, at int64) error {
		if at < from {
			return nil
		}
		lines++
		r.bytes += int64(len(line))
		if e, err := parse(line); err == nil {
			entries++
			if e.Seq == head.Seq+1 && e.Previous == head.Hash {
				r.whole = &Head{e.Seq, e.Hash}
			}
		}
		return nil
	})
	r.partial = entries == 0 && r.bytes <= maxLine
	if lines != 1 {
		r.whole = nil
	}
	return r, err
}

// Append numbers, dates and chains an entry and returns when it and the anchor are on stable storage.
func (l *Log) Append(e Entry) (Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return Entry{}, experiments.Errorf(experiments.CodeUnavailable, "the audit log cannot be written since %w; start the server again", l.broken)
	}
	e.Seq, e.Time, e.Previous = l.head.Seq+1, time.Now().UTC().Truncate(time.Millisecond), l.head.Hash
	line, err := e.seal()
	if err != nil {
		return Entry{}, err
	}
	if err := l.write(e.Seq, line); err != nil {
		l.broken = err
		return Entry{}, fmt.Errorf("audit log: %w", err)
	}
	head := Head{e.Seq, e.Hash}
	if err := writeAnchor(l.dir, head); err != nil {
		l.broken = err
		return Entry{}, fmt.Errorf("audit log: %w", err)
	}
	l.head, l.size = head, l.size+int64(len(line))
	return e, nil
}

// write puts a line at the end of the last segment, or begins another.
func (l *Log) write(seq int64, line []byte) error {
	if l.file == nil || l.size+int64(len(line)) > l.limit {
		f, err := disk.OpenFile(segmentPath(l.dir, seq), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		if l.file != nil {
			if err := l.file.Close(); err != nil {
				return errors.Join(err, f.Close())
			}
		}
		l.file, l.size = f, 0
		if err := disk.SyncDir(l.dir); err != nil {
			return err
		}
	}
	if _, err := l.file.WriteAt(line, l.size); err != nil {
		return err
	}
	return l.file.Sync()
}

// Head is the log's end.
func (l *Log) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head
}

// Salt is the key of the log's keyed hashes.
func (l *Log) Salt() []byte { return l.salt }

// Dir is the log's folder.
func (l *Log) Dir() string { return l.dir }

// Close closes the log.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.unlock()
	if l.broken == nil {
		l.broken = errors.New("it is closed")
	}
	if l.file == nil {
		return nil
	}
	f := l.file
	l.file = nil
	return f.Close()
}
