// Package thin reduces a long metric series to what a chart can show.
package thin

import "triality/experiments"

// Thinner reduces a series of known length while it streams past: it keeps the first and the last point,
// and of each of equal stretches between them the least, the greatest and the first that is not finite,
// so that no spike and no NaN disappears. A series that is short enough stays whole.
type Thinner struct {
	total     int64
	stretches int64 // 0: it stays whole
	i         int64 // points taken
	stretch   int64 // the one that point i is of
	end       int64 // the first point after it
	out       []experiments.Point

	picks [3]pick // least, greatest, first not finite
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
		t.stretches = max(int64(most-2)/3, 1)
		t.out = make([]experiments.Point, 0, most)
		t.begin(0)
	}
	return t
}

// Points thins a series that is in memory.
func Points(in []experiments.Point, most int) []experiments.Point {
	t := New(int64(len(in)), most)
	t.Add(in)
	return t.Points()
}

// begin goes on to a stretch. Stretch s has the points i with (i-1)*stretches/(total-2) = s, rounded down.
func (t *Thinner) begin(s int64) {
	t.stretch = s
	t.end = min(t.total-1, 1+((s+1)*(t.total-2)+t.stretches-1)/t.stretches)
}

// Add takes the next of the series' points.
func (t *Thinner) Add(part []experiments.Point) {
	if t.stretches == 0 {
		t.out = append(t.out, part...)
		t.i += int64(len(part))
		return
	}
	for len(part) > 0 {
		if t.i == 0 || t.i >= t.total-1 {
			t.out = append(t.out, part[0])
			part = part[1:]
			t.i++
			continue
		}
		n := min(int64(len(part)), t.end-t.i)
		t.look(part[:n])
		part = part[n:]
		if t.i += n; t.i == t.end {
			t.flush()
			t.begin(t.stretch + 1)
		}
	}
}

// look takes points of one stretch.
func (t *Thinner) look(part []experiments.Point) {
	low, high, odd := &t.picks[0], &t.picks[1], &t.picks[2]
	for j := range part {
		v := part[j].Value
		if v-v != 0 { // NaN or infinite
			if !odd.ok {
				*odd = pick{t.i + int64(j), part[j], true}
			}
			continue
		}
		if !low.ok || v < low.p.Value {
			*low = pick{t.i + int64(j), part[j], true}
		}
		if !high.ok || v > high.p.Value {
			*high = pick{t.i + int64(j), part[j], true}
		}
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
