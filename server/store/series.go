package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"sort"

	"go.etcd.io/bbolt"

	"triality/experiments"
	"triality/server/events/wire"
	"triality/server/search"
)

// MaxMetricName is the longest name of a metric, in bytes.
const MaxMetricName = 250

// eventBytes bounds about what one metrics event carries; a larger batch makes several events.
const (
	eventBytes = 32 << 10
	pointBytes = 72 // of one with a step, a time and a value of usual lengths
)

// SeriesInfo is a metric series without its points.
type SeriesInfo struct {
	Name  string            `json:"name"`
	Count int64             `json:"count"`
	Last  experiments.Point `json:"last"`
	// Of the points that are finite, how many they are; the rest is left out where there are none.
	Finite   int64    `json:"finite"`
	Least    *Extreme `json:"least,omitempty"`
	Greatest *Extreme `json:"greatest,omitempty"`
	Mean     *float64 `json:"mean,omitempty"` // of those among the last ten points
}

// Extreme is the first of a series' points that have its least or its greatest value.
type Extreme struct {
	Step  int64   `json:"step"`
	Value float64 `json:"value"`
}

func infoOf(name string, h head) SeriesInfo {
	s := SeriesInfo{Name: name, Count: int64(h.count), Last: h.last, Finite: int64(h.extent.finite)}
	if e := h.extent; e.finite > 0 {
		s.Least, s.Greatest = &Extreme{e.leastStep, e.least}, &Extreme{e.greatestStep, e.greatest}
		if isFinite(e.mean) {
			s.Mean = &e.mean
		}
	}
	return s
}

// CheckMetricName says what is wrong with a name of a metric.
func CheckMetricName(name string) error {
	if name == "" || len(name) > MaxMetricName {
		return experiments.Errorf(experiments.CodeInvalid, "metric name %.40q: want 1 to %d bytes", name, MaxMetricName)
	}
	return checkText("metric name", name)
}

// LogMetrics appends points to a run's series and returns when they are durable. A point whose step, time
// and value are those of one stored lately comes from a retry and is not stored again.
func (s *Store) LogMetrics(ctx context.Context, run string, batch experiments.MetricBatch) error {
	return s.logMetrics(ctx, run, batch, false)
}

// RestartMetrics is LogMetrics for series that begin anew: points logged to them before are removed.
func (s *Store) RestartMetrics(ctx context.Context, run string, batch experiments.MetricBatch) error {
	return s.logMetrics(ctx, run, batch, true)
}

func (s *Store) logMetrics(ctx context.Context, run string, batch experiments.MetricBatch, restart bool) error {
	names, records := make([]string, 0, len(batch)), 0
	for name, points := range batch {
		if err := CheckMetricName(name); err != nil {
			return err
		}
		if len(points) > 0 {
			names, records = append(names, name), records+len(points)
		}
	}
	missing := s.hasRun(ctx, run)
	if records == 0 {
		return missing
	}
	room := records
	if missing != nil {
		// The writer says so: a client that asks again and again asks once a commit. Meanwhile it takes
		// no room from others.
		room = 0
	}
	sort.Strings(names)
	var data [][]byte
	if missing == nil {
		var err error
		if data, err = metricEvents(names, batch); err != nil {
			return err
		}
	}
	_, err := s.updateOnce(ctx, room, "", func(t *txn) error {
		if t.Bucket(bucketRuns).Get([]byte(run)) == nil {
			return notFound("run", run)
		}
		fresh, data := experiments.MetricBatch{}, data
		if restart {
			if err := removeSeries(t, run, names); err != nil {
				return err
			}
		}
		for _, name := range names {
			var err error
			if fresh[name], err = appendPoints(t, run, name, batch[name]); err != nil {
				return fmt.Errorf("series %q of run %s: %w", name, run, err)
			}
		}
		if data == nil || count(fresh) < records {
			var err error
			if data, err = metricEvents(names, fresh); err != nil {
				return err
			}
		}
		for _, d := range data {
			t.emit(experiments.EventMetrics, run, d)
		}
		return nil
	})
	return err
}

func count(batch experiments.MetricBatch) (n int) {
	for _, points := range batch {
		n += len(points)
	}
	return n
}

func metricEvents(names []string, batch experiments.MetricBatch) (data [][]byte, err error) {
	part, bytes := experiments.MetricBatch{}, 0
	flush := func() error {
		if len(part) == 0 {
			return nil
		}
		b, err := wire.Marshal(part)
		data, part, bytes = append(data, b), experiments.MetricBatch{}, 0
		return err
	}
	for _, name := range names {
		for points := batch[name]; len(points) > 0; {
			take := min(len(points), max(1, (eventBytes-bytes-len(name))/pointBytes))
			part[name] = points[:take:take]
			points, bytes = points[take:], bytes+len(name)+take*pointBytes
			if bytes >= eventBytes-pointBytes {
				if err := flush(); err != nil {
					return nil, err
				}
			}
		}
	}
	return data, flush()
}

// appendPoints adds the points that are new and gives them.
func appendPoints(t *txn, run, name string, points []experiments.Point) ([]experiments.Point, error) {
	series, store := t.bucket(bucketSeries), t.bucket(bucketPoints)
	k := key(run, name)
	h := head{topKnown: true, top: moment{math.MinInt64, math.MinInt64}, extent: noExtent}
	var c *chunk
	var tail []experiments.Point
	var err error
	if b := series.Get(k); b != nil {
		if h, err = decodeHead(b); err != nil {
			return nil, err
		}
		if points, err = withoutRepeats(t, &h, points); err != nil || len(points) == 0 {
			return nil, err
		}
		if tail, err = tailBefore(t, &h, len(points)); err != nil {
			return nil, err
		}
		if c, err = reopenChunk(store.Get(chunkKey(h.id, h.chunks-1)), h.last); err != nil {
			return nil, err
		}
	} else {
		if h.id, err = series.NextSequence(); err != nil {
			return nil, err
		}
		h.chunks, c = 1, newChunk()
	}
	for _, p := range points {
		if c.full() {
			if err := store.Put(chunkKey(h.id, h.chunks-1), c.seal()); err != nil {
				return nil, err
			}
			h.chunks++
			c = newChunk()
		}
		c.add(p)
		if m := momentOf(p); m.after(h.top) {
			h.top = m
		}
	}
	if err := store.Put(chunkKey(h.id, h.chunks-1), c.seal()); err != nil {
		return nil, err
	}
	h.count += uint64(len(points))
	h.last = points[len(points)-1]
	h.extent.add(points)
	h.extent.mean = meanOf(append(tail, points[max(0, len(points)-search.MeanOver):]...))
	t.changed(search.Change{Series: &search.Series{Run: run, Name: name, Stats: h.stats()}})
	return points, series.Put(k, h.encode())
}

// removeSeries removes series, those that are there, and says so.
func removeSeries(t *txn, run string, names []string) error {
	for _, name := range names {
		k := key(run, name)
		b := t.Bucket(bucketSeries).Get(k)
		if b == nil {
			continue
		}
		h, err := decodeHead(b)
		if err != nil {
			return fmt.Errorf("series %q of run %s: %w", name, run, err)
		}
		for i := range h.chunks {
			if err := t.Bucket(bucketPoints).Delete(chunkKey(h.id, i)); err != nil {
				return err
			}
		}
		if err := t.Bucket(bucketSeries).Delete(k); err != nil {
			return err
		}
		gone, err := json.Marshal([]string{name})
		if err != nil {
			return err
		}
		t.emit(experiments.EventRestart, run, gone)
		t.changed(search.Change{RemovedSeries: &search.Series{Run: run, Name: name}})
	}
	return nil
}

func eachSeries(tx *bbolt.Tx, run string, f func(name string, h head) error) error {
	prefix := under(run)
	c := tx.Bucket(bucketSeries).Cursor()
	for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
		name := string(k[len(prefix):])
		h, err := decodeHead(v)
		if err == nil {
			err = f(name, h)
		}
		if err != nil {
			return fmt.Errorf("series %q of run %s: %w", name, run, err)
		}
	}
	return nil
}

// Series lists a run's metric series by name.
func (s *Store) Series(ctx context.Context, run string) ([]SeriesInfo, error) {
	items := []SeriesInfo{}
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		if tx.Bucket(bucketRuns).Get([]byte(run)) == nil {
			return notFound("run", run)
		}
		items = items[:0]
		return eachSeries(tx, run, func(name string, h head) error {
			items = append(items, infoOf(name, h))
			return nil
		})
	})
	return items, err
}

// Points hands a series to yield in the order it was logged, some thousand points at a time; yield must
// not keep the slice. total is the number of points when it began; those logged meanwhile are left out.
// Each part is read in a transaction of its own and yield runs outside of it.
func (s *Store) Points(ctx context.Context, run, name string, yield func(total int64, part []experiments.Point) error) error {
	var h head
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketSeries).Get(key(run, name))
		if b == nil || tx.Bucket(bucketRuns).Get([]byte(run)) == nil {
			return notFound("series", run+"/"+name)
		}
		var err error
		h, err = decodeHead(b)
		return err
	})
	if err != nil {
		return err
	}
	const chunksAtOnce = 32
	left := int64(h.count)
	part := make([]experiments.Point, 0, min(left, chunksAtOnce*maxChunkPoints))
	for n := uint32(0); left > 0; n += chunksAtOnce {
		part = part[:0]
		err := s.view(ctx, func(tx *bbolt.Tx) error {
			for i := n; i < min(n+chunksAtOnce, h.chunks); i++ {
				b := tx.Bucket(bucketPoints).Get(chunkKey(h.id, i))
				if b == nil && tx.Bucket(bucketSeries).Get(key(run, name)) == nil {
					return notFound("series", run+"/"+name) // deleted meanwhile
				}
				var err error
				if part, err = decodeChunk(part, b); err != nil {
					return fmt.Errorf("series %q of run %s, chunk %d: %w", name, run, i, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if len(part) == 0 {
			return fmt.Errorf("series %q of run %s: %d points are missing", name, run, left)
		}
		part = part[:min(int64(len(part)), left)]
		left -= int64(len(part))
		if err := yield(int64(h.count), part); err != nil {
			return err
		}
	}
	return nil
}
