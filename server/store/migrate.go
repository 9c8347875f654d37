package store

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.etcd.io/bbolt"

	"triality/runtime/atomicfile"
)

// migrate brings a file of an older format to this one, in one transaction, after it was copied beside
// itself. Version 2 added two buckets, version 3 what the heads of series say of all their points, version 4 three buckets,
// versions 5 and 6 one each.
func (s *Store) migrate() error {
	var from uint32
	err := s.view(context.Background(), func(tx *bbolt.Tx) error {
		if from = formatOf(tx); from == FormatVersion {
			return nil
		}
		copied := fmt.Sprintf("%s.v%d", s.path, from)
		if _, err := os.Stat(copied); err == nil {
			return nil // of a migration that was cut short, or of a file that was copied back
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return atomicfile.WriteFile(copied, 0o600, func(w io.Writer) error {
			b := bufio.NewWriterSize(w, 1<<20)
			if _, err := tx.WriteTo(b); err != nil {
				return err
			}
			return b.Flush()
		})
	})
	if err != nil || from == FormatVersion {
		return err
	}
	s.log.Info("the database is brought to a newer format", "file", s.path, "from", from, "to", FormatVersion)
	return guarded(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
			for _, name := range bucketsOf(FormatVersion) {
				if _, err := tx.CreateBucketIfNotExists(name); err != nil {
					return err
				}
			}
			if from < 3 {
				if err := s.measureAll(tx); err != nil {
					return err
				}
			}
			if err := tx.Bucket(bucketMeta).Put(keyFormat, binary.LittleEndian.AppendUint32(nil, FormatVersion)); err != nil || s.opts.endMigration == nil {
				return err
			}
			return s.opts.endMigration()
		})
	})
}

// measureAll reads every series for its extent. One that cannot be read keeps its head: reading it says why, and so
// does `triality db check`.
func (s *Store) measureAll(tx *bbolt.Tx) error {
	series, points := tx.Bucket(bucketSeries), tx.Bucket(bucketPoints)
	const atOnce = 1000
	type record struct{ k, v []byte }
	var from []byte
	for {
		// A bucket may not be written while a cursor goes through it.
		part := make([]record, 0, atOnce)
		c := series.Cursor()
		k, v := c.Seek(from)
		for ; k != nil && len(part) < atOnce; k, v = c.Next() {
			part = append(part, record{bytes.Clone(k), bytes.Clone(v)})
		}
		for _, r := range part {
			h, err := decodeHead(r.v)
			if err == nil {
				err = measure(func(i uint32) []byte { return points.Get(chunkKey(h.id, i)) }, &h)
			}
			if err != nil {
				s.log.Warn("a series cannot be read", "file", s.path, "series", strings.ReplaceAll(string(r.k), "\x00", "/"), "error", err)
				continue
			}
			if err := series.Put(r.k, h.encode()); err != nil {
				return err
			}
		}
		if k == nil {
			return nil
		}
		from = bytes.Clone(k)
	}
}
