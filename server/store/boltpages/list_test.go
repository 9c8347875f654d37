package boltpages

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.etcd.io/bbolt"
)

var options = bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType}

// used is a bbolt file of so many keys, a part of which were removed again, without a list of its free pages.
func used(t *testing.T, keys, removed int) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	db, err := bbolt.Open(path, 0o600, &options)
	if err != nil {
		t.Fatal(err)
	}
	for from := 0; from < 2; from++ {
		err = db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("b"))
			for i := 0; i < keys && err == nil; i++ {
				k := binary.BigEndian.AppendUint64(nil, uint64(i))
				if from == 0 {
					err = b.Put(k, bytes.Repeat([]byte{byte(i)}, 900))
				} else if i < removed {
					err = b.Delete(k)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// opened are the keys and the free pages of a file as bbolt has them, which must find nothing wrong.
func opened(t *testing.T, file []byte) (keys, free int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, &options)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	free = db.Stats().FreePageN
	for range 2 { // and once more after a commit
		err = db.Update(func(tx *bbolt.Tx) error {
			for err := range tx.Check() {
				t.Error(err)
			}
			keys = tx.Bucket([]byte("b")).Stats().KeyN
			return tx.Bucket([]byte("b")).SetSequence(1)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return keys, free
}

// recorded is a file in memory that notes what is written to it; nil stands for a flush.
type recorded struct {
	writes []func(file []byte) []byte
	fail   int // the flush that fails, from 1
	syncs  int
}

func (r *recorded) WriteAt(b []byte, at int64) (int, error) {
	b = slices.Clone(b)
	r.writes = append(r.writes, func(file []byte) []byte {
		if need := int(at) + len(b) - len(file); need > 0 {
			file = append(file, make([]byte, need)...)
		}
		copy(file[at:], b)
		return file
	})
	return len(b), nil
}

func (r *recorded) Sync() error {
	r.writes = append(r.writes, nil)
	if r.syncs++; r.syncs == r.fail {
		return errDisk
	}
	return nil
}

func sound(t *testing.T, file []byte) *Checked {
	t.Helper()
	c, err := Check(bytes.NewReader(file), int64(len(file)), 0)
	if err != nil || !c.Whole() {
		t.Fatalf("%+v, %v", c, err)
	}
	return c
}

func TestAListOfFreePagesIsWhatBoltFindsItself(t *testing.T) {
	for _, tt := range []struct{ keys, removed int }{{3, 0}, {2000, 0}, {2000, 1500}, {2000, 2000}} {
		t.Run(fmt.Sprint(tt.keys, " keys, ", tt.removed, " removed"), func(t *testing.T) {
			file := used(t, tt.keys, tt.removed)
			keys, free := opened(t, file)
			var r recorded
			if err := sound(t, file).WriteList(&r, 0); err != nil {
				t.Fatal(err)
			}
			// A power cut leaves what was flushed and any of what was not: here the writes up to each, and each torn.
			states := [][]byte{slices.Clone(file)}
			now := slices.Clone(file)
			for _, w := range r.writes {
				if w == nil {
					continue
				}
				next := w(slices.Clone(now))
				torn := slices.Clone(now)
				for at := range torn { // every second block of 512 bytes reached the disk
					if at/512%2 == 0 {
						torn[at] = next[at]
					}
				}
				states = append(states, torn, next)
				now = next
			}
			for i, state := range states {
				k, f := opened(t, state)
				if k != keys || f > free || f < free-2 { // the list itself takes one or two
					t.Errorf("state %d of %d: %d keys and %d free pages, want %d and about %d", i, len(states), k, f, keys, free)
				}
			}
			if c := sound(t, now); c.meta.list == noList {
				t.Error("the newest state has no list")
			} else if err := c.WriteList(&recorded{fail: 1}, 0); err != nil {
				t.Errorf("a second list: %v", err)
			}
		})
	}
}

func TestAListIsWrittenAfterTheStateThatItIsOf(t *testing.T) {
	file := used(t, 100, 50)
	for fail := 1; fail <= 3; fail++ {
		r := recorded{fail: fail}
		if err := sound(t, file).WriteList(&r, 0); !errors.Is(err, errDisk) {
			t.Errorf("flush %d failed, and the error is %v", fail, err)
		}
		if writes := len(r.writes) - fail; writes != fail-1 {
			t.Errorf("%d writes before flush %d, want one before each but the first", writes, fail)
		}
	}
}

func TestAListThatWouldGrowAFileBeyondItsBoundIsNotWritten(t *testing.T) {
	file := used(t, 3, 0)
	c := sound(t, file)
	c.meta.pages = uint64(len(file)) / uint64(c.meta.pageSize)
	for id := range c.meta.pages { // no page is free
		c.seen[id/64].Or(1 << (id % 64))
	}
	var r recorded
	if err := c.WriteList(&r, int64(len(file))); err != nil || len(r.writes) > 0 {
		t.Errorf("%v, %d writes", err, len(r.writes))
	}
	if err := c.WriteList(&r, 0); err != nil || len(r.writes) != 5 {
		t.Errorf("without a bound: %v, %d writes", err, len(r.writes))
	}
}

func TestAFileWithADamagedMetaPageGetsNoList(t *testing.T) {
	file := used(t, 3, 0)
	page := 0
	if c := sound(t, file); c.meta.txid%2 == 0 {
		page = 1 // the older one
	}
	clear(file[page*os.Getpagesize():][:200])
	c, err := Check(bytes.NewReader(file), int64(len(file)), 0)
	var r recorded
	if err != nil || len(c.Faults) != 1 || c.WriteList(&r, 0) != nil || len(r.writes) > 0 {
		t.Errorf("%+v, %v, %d writes", c, err, len(r.writes))
	}
}
