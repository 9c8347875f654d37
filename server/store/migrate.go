package store

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"go.etcd.io/bbolt"

	"triality/runtime/atomicfile"
)

// migrate brings a file of an older format to this one, in one transaction, after it was copied beside
// itself. Version 2 added two buckets; the heads of series of version 1 are read as they are and
// rewritten when points are added.
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
			for _, name := range added {
				if _, err := tx.CreateBucketIfNotExists(name); err != nil {
					return err
				}
			}
			return tx.Bucket(bucketMeta).Put(keyFormat, binary.LittleEndian.AppendUint32(nil, FormatVersion))
		})
	})
}
