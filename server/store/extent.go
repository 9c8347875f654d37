package store

import (
	"fmt"
	"math"

	"triality/experiments"
	"triality/server/search"
)

// extent is how far the finite points of a series reach. Where there is none, its values are NaN.
type extent struct {
	finite       uint64 // points
	least        float64
	leastStep    int64 // of the first point that is the least
	greatest     float64
	greatestStep int64
	mean         float64 // of those among the last search.MeanOver points
}

var noExtent = extent{least: math.NaN(), greatest: math.NaN(), mean: math.NaN()}

func isFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// add takes in points; the mean is set apart.
func (e *extent) add(points []experiments.Point) {
	for _, p := range points {
		if !isFinite(p.Value) {
			continue
		}
		if e.finite++; e.finite == 1 {
			e.least, e.leastStep, e.greatest, e.greatestStep = p.Value, p.Step, p.Value, p.Step
			continue
		}
		if p.Value < e.least {
			e.least, e.leastStep = p.Value, p.Step
		}
		if p.Value > e.greatest {
			e.greatest, e.greatestStep = p.Value, p.Step
		}
	}
}

// stats are the series' numbers as searches see them.
func (h *head) stats() search.Stats {
	return search.Stats{Last: h.last.Value, Least: h.extent.least, Greatest: h.extent.greatest, Mean: h.extent.mean, Count: h.count}
}

// meanOf is the mean of the finite values; NaN where there are none.
func meanOf(points []experiments.Point) float64 {
	sum, n := 0.0, 0
	for _, p := range points {
		if isFinite(p.Value) {
			n++
			sum += (p.Value - sum) / float64(n) // a running mean: a sum may overflow
		}
	}
	if n == 0 {
		return math.NaN()
	}
	return sum
}

// tailBefore gives the last search.MeanOver-n points stored of a series, in order.
func tailBefore(t *txn, h *head, n int) ([]experiments.Point, error) {
	want := max(0, search.MeanOver-n)
	var tail []experiments.Point
	for i := h.chunks; i > 0 && len(tail) < want; i-- {
		chunk, err := decodeChunk(nil, t.Bucket(bucketPoints).Get(chunkKey(h.id, i-1)))
		if err != nil {
			return nil, err
		}
		tail = append(chunk, tail...)
	}
	return tail[max(0, len(tail)-want):], nil
}

// measure reads a whole series for what a head of an older format lacks.
func measure(get func(chunk uint32) []byte, h *head) error {
	h.top, h.extent = moment{math.MinInt64, math.MinInt64}, noExtent
	var points, tail []experiments.Point
	for i := range h.chunks {
		var err error
		if points, err = decodeChunk(points[:0], get(i)); err != nil {
			h.extent, h.topKnown = noExtent, false
			return fmt.Errorf("chunk %d: %w", i, err)
		}
		for _, p := range points {
			if m := momentOf(p); m.after(h.top) {
				h.top = m
			}
		}
		h.extent.add(points)
		tail = append(tail, points[max(0, len(points)-search.MeanOver):]...)
		tail = tail[max(0, len(tail)-search.MeanOver):]
	}
	h.extent.mean, h.topKnown = meanOf(tail), true
	return nil
}
