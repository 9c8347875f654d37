package store

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"triality/experiments"
)

// RunFilter selects runs; empty fields select all. Query is looked for in name, id, parameters, tags
// and the names of metrics, case ignored.
type RunFilter struct {
	ExperimentID string
	Status       experiments.Status
	Query        string
	Limit        int
	Cursor       string
}

// scanAtOnce bounds how many runs one read transaction looks at.
const scanAtOnce = 500

// maxPage bounds the texts of a page's runs, in bytes: configurations, notes and parameters may be large.
const maxPage = 16 << 20

// sizeOf is about how many bytes a run takes, encoded.
func sizeOf(r experiments.Run) int {
	n := 500 + len(r.Config) + len(r.Notes) + len(r.Error)
	for _, texts := range []map[string]string{r.Params, r.Tags} {
		for key, value := range texts {
			n += len(key) + len(value)
		}
	}
	for _, s := range r.Steps {
		n += 300 + len(s.Error) + len(s.Output)
		for _, note := range s.Notes {
			n += len(note)
		}
	}
	for name := range r.Summary {
		n += 30 + len(name)
	}
	return n
}

// Runs lists runs, the newest first, as many as the limit says, or fewer where they are large; the cursor returned goes on, "" at the end.
func (s *Store) Runs(ctx context.Context, f RunFilter) (items []experiments.Run, next string, err error) {
	limit := pageSize(f.Limit)
	after, err := base64.RawURLEncoding.DecodeString(f.Cursor)
	if err != nil || len(after) > 0 && len(after) < 9 {
		return nil, "", experiments.Errorf(experiments.CodeInvalid, "cursor %q is none that a list gave", f.Cursor)
	}
	if f.Status != "" && !statuses[f.Status] {
		return nil, "", experiments.Errorf(experiments.CodeInvalid, "status %q: want queued, running, finished, failed, interrupted or reused", f.Status)
	}
	prefix := under("a")
	switch {
	case f.ExperimentID != "":
		prefix = under("e", f.ExperimentID)
	case f.Status != "":
		prefix = under("s", string(f.Status))
	}
	items = []experiments.Run{}
	size := 0
	for more := true; more; {
		err := s.view(ctx, func(tx *bbolt.Tx) error {
			if f.ExperimentID != "" && tx.Bucket(bucketExperiments).Get([]byte(f.ExperimentID)) == nil {
				return notFound("experiment", f.ExperimentID)
			}
			c := tx.Bucket(bucketRunIndex).Cursor()
			start := append(bytes.Clone(prefix), after...)
			k, _ := c.Seek(start)
			if len(after) > 0 && bytes.Equal(k, start) {
				k, _ = c.Next()
			}
			for range scanAtOnce {
				if !bytes.HasPrefix(k, prefix) {
					more = false
					return nil
				}
				if len(items) == limit {
					more, next = false, base64.RawURLEncoding.EncodeToString(after)
					return nil
				}
				after = bytes.Clone(k[len(prefix):])
				r, err := readRun(tx, runOfIndex(after))
				if err != nil {
					return err
				}
				if f.matches(r) {
					items = append(items, r)
					if size += sizeOf(r); size > maxPage {
						limit = len(items) // the rest is on the next page
					}
				}
				k, _ = c.Next()
			}
			return nil
		})
		if err != nil {
			return nil, "", err
		}
	}
	return items, next, nil
}

func (f RunFilter) matches(r experiments.Run) bool {
	if f.Status != "" && r.Status != f.Status {
		return false
	}
	if f.Query == "" {
		return true
	}
	q := strings.ToLower(f.Query)
	has := func(s string) bool { return strings.Contains(strings.ToLower(s), q) }
	if has(r.Name) || has(r.ID) {
		return true
	}
	for _, m := range []map[string]string{r.Params, r.Tags} {
		for k, v := range m {
			if has(k) || has(v) {
				return true
			}
		}
	}
	for k := range r.Summary {
		if has(k) {
			return true
		}
	}
	return false
}

// timeOfIndex undoes newestFirst.
func timeOfIndex(tail []byte) time.Time {
	return time.UnixMicro(int64(^binary.BigEndian.Uint64(tail) ^ 1<<63)).UTC()
}
