package api

import (
	"context"
	"math"

	"triality/experiments"
)

// thinner reduces a series of known length to at most most points while it streams past: the first and
// the last point, and of each of equal stretches between them the least, the greatest and the first that
// is not finite, so that no spike and no NaN disappears.
type thinner struct {
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

func newThinner(total int64, most int) *thinner {
	t := &thinner{total: total}
	if total > int64(most) {
		t.buckets = max(int64(most-2)/3, 1)
	}
	return t
}

func (t *thinner) add(p experiments.Point) {
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

// flush writes the bucket's picks in their order, each point once.
func (t *thinner) flush() {
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

// thinned reads a series with at most most points, and its full length.
func (s *Server) thinned(ctx context.Context, run, name string, most int) (points []experiments.Point, total int64, err error) {
	var t *thinner
	err = s.store.Points(ctx, run, name, func(n int64, part []experiments.Point) error {
		if t == nil {
			t, total = newThinner(n, most), n
		}
		for _, p := range part {
			t.add(p)
		}
		return nil
	})
	if err != nil || t == nil {
		return nil, total, err
	}
	return t.out, total, nil
}
