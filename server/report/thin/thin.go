// Package thin reduces a long metric series to what a chart can show.
package thin

import (
	"math"

	"triality/experiments"
)

// Thinner reduces a series of known length while it streams past: it keeps the first and the last point,
// and of each of equal stretches between them the least, the greatest and the first that is not finite,
// so that no spike and no NaN disappears. A series that is short enough stays whole.
type Thinner struct {
	total   int64
	buckets int64
	i       int64
	out     []experiments.Point

	bucket int64
	picks  [3]pick // least, greatest, first not finite
}

type pick struct {
	at int64
	p  experiments.Point
	ok bool
}

// New makes a thinner of total points to at most most, which must be at least 5.
func New(total int64, most int) *Thinner {
	t := &Thinner{total: total}
	if total > int64(most) {
		t.buckets = max(int64(most-2)/3, 1)
	}
	return t
}

// Points thins a series that is in memory.
func Points(in []experiments.Point, most int) []experiments.Point {
	t := New(int64(len(in)), most)
	for _, p := range in {
		t.Add(p)
	}
	return t.Points()
}

// Add takes the next of the series' points.
func (t *Thinner) Add(p experiments.Point) {
	i := t.i
	t.i++
	if t.buckets == 0 || i == 0 || i == t.total-1 {
		t.flush()
		t.out = append(t.out, p)
		return
	}
	if b := (i - 1) * t.buckets / (t.total - 2); b != t.bucket {
		t.flush()
		t.bucket = b
	}
	low, high, odd := &t.picks[0], &t.picks[1], &t.picks[2]
	if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
		if !odd.ok {
			*odd = pick{i, p, true}
		}
		return
	}
	if !low.ok || p.Value < low.p.Value {
		*low = pick{i, p, true}
	}
	if !high.ok || p.Value > high.p.Value {
		*high = pick{i, p, true}
	}
}

// Points are what was kept, in their order, complete after the last Add.
func (t *Thinner) Points() []experiments.Point { return t.out }

// flush writes the bucket's picks in their order, each point once.
func (t *Thinner) flush() {
	for last := int64(-1); ; {
		next := -1
		for j, c := range t.picks {
			if c.ok && c.at > last && (next < 0 || c.at < t.picks[next].at) {
				next = j
			}
		}
		if next < 0 {
			break
		}
		t.out = append(t.out, t.picks[next].p)
		last = t.picks[next].at
	}
	t.picks = [3]pick{}
}
