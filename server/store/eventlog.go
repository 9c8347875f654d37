package store

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"

	"triality/experiments"
)

// eventLog is the extent of the stored log: the newest event's id, how many there are, their bytes.
// Ids have no gaps, so the oldest is last-count+1.
type eventLog struct {
	last  uint64
	count int
	bytes int
}

func loadEventLog(tx *bbolt.Tx) eventLog {
	b := tx.Bucket(bucketEvents)
	l := eventLog{last: b.Sequence()}
	c := b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		l.count++
		l.bytes += len(v)
	}
	return l
}

// storeEvents gives the group's events their ids, stores them and trims the log.
func (t *txn) storeEvents(maxCount, maxBytes int) error {
	if len(t.events) == 0 {
		return nil
	}
	b := t.bucket(bucketEvents)
	for i := range t.events {
		t.log.last++
		t.events[i].ID = t.log.last
		v, err := json.Marshal(t.events[i])
		if err != nil {
			return fmt.Errorf("store an event: %w", err)
		}
		if err := b.Put(uintKey(t.log.last), v); err != nil {
			return err
		}
		t.log.count++
		t.log.bytes += len(v)
	}
	if err := b.SetSequence(t.log.last); err != nil {
		return err
	}
	for t.log.count > maxCount || t.log.bytes > maxBytes {
		oldest := uintKey(t.log.last - uint64(t.log.count) + 1)
		t.log.bytes -= len(b.Get(oldest))
		t.log.count--
		if err := b.Delete(oldest); err != nil {
			return err
		}
	}
	return nil
}

// eventsAfter reads events that follow id after, up to about so many bytes, and the id of the newest one.
// A gap, because the log was trimmed or is another one, is ErrReset.
func eventsAfter(tx *bbolt.Tx, after uint64, bytes int) (page []experiments.Event, last uint64, err error) {
	b := tx.Bucket(bucketEvents)
	last = b.Sequence()
	if after == last {
		return nil, last, nil
	}
	c := b.Cursor()
	k, v := c.Seek(uintKey(after + 1))
	if k == nil || binary.BigEndian.Uint64(k) != after+1 {
		return nil, last, ErrReset
	}
	for ; k != nil && bytes > 0; k, v = c.Next() {
		bytes -= len(v)
		var ev experiments.Event
		if err := json.Unmarshal(v, &ev); err != nil {
			return nil, last, fmt.Errorf("event %x: %w", k, err)
		}
		page = append(page, ev)
	}
	return page, last, nil
}
