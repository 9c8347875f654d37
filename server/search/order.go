package search

import (
	"cmp"
	"slices"
	"strings"

	"triality/server/search/query"
)

// ordering is the order of a search: by its keys, then the newest first, then by id, so that no two runs are equal.
type ordering struct {
	r       *resolver
	columns []*column
	down    []bool
}

func (r *resolver) order(by []query.Order) *ordering {
	o := &ordering{r: r}
	for _, b := range by {
		o.columns, o.down = append(o.columns, r.column(b.Key)), append(o.down, b.Descending)
	}
	return o
}

// place is where a run stands in an order.
type place struct {
	at      uint32
	values  []Value
	created int64
	id      string
}

func (o *ordering) compare(a, b *place) int {
	for i, down := range o.down {
		if c := compare(a.values[i], b.values[i], down); c != 0 {
			return c
		}
	}
	return cmp.Or(cmp.Compare(b.created, a.created), strings.Compare(a.id, b.id))
}

// page gives the rows after a cursor, limit at most, and the cursor of the page that follows, nil where none does.
func (o *ordering) page(rows []uint32, from *cursor, limit int) ([]uint32, *cursor) {
	places := o.places(rows)
	if from != nil {
		last := from.place()
		places = slices.DeleteFunc(places, func(p place) bool { return o.compare(&p, last) <= 0 })
	}
	first := least(places, limit+1, func(a, b place) int { return o.compare(&a, &b) })
	more := len(first) > limit
	if more {
		first = first[:limit]
	}
	out := make([]uint32, len(first))
	for i := range first {
		out[i] = first[i].at
	}
	if !more {
		return out, nil
	}
	return out, cursorAt(&first[limit-1])
}

func (o *ordering) places(rows []uint32) []place {
	places, n := make([]place, len(rows)), len(o.columns)
	values := make([]Value, len(rows)*n)
	for i, at := range rows {
		row := &o.r.x.rows[at]
		places[i] = place{at: at, values: values[i*n : (i+1)*n : (i+1)*n], created: row.created, id: row.id}
	}
	for k, c := range o.columns {
		if c.attr != "" || c.none() {
			for i, at := range rows {
				places[i].values[k] = o.r.value(c, at)
			}
			continue
		}
		i := 0
		for ; i < len(rows); i++ {
			places[i].values[k] = none
		}
		i = 0
		o.r.each(c, func(at uint32, v Value) { // both in order of the rows
			for i < len(rows) && rows[i] < at {
				i++
			}
			if i < len(rows) && rows[i] == at {
				places[i].values[k] = v
			}
		})
	}
	return places
}

// least gives the n first of a list in order; the list is used up.
func least(list []place, n int, compare func(a, b place) int) []place {
	if n < len(list)/8 {
		// A heap of the n least so far, the greatest of them at its root.
		heap := list[:n:n]
		for i := n/2 - 1; i >= 0; i-- {
			sink(heap, i, compare)
		}
		for _, p := range list[n:] {
			if compare(p, heap[0]) < 0 {
				heap[0] = p
				sink(heap, 0, compare)
			}
		}
		list = heap
	}
	slices.SortFunc(list, compare)
	return list[:min(n, len(list))]
}

func sink(heap []place, i int, compare func(a, b place) int) {
	for {
		child := 2*i + 1
		if child >= len(heap) {
			return
		}
		if child+1 < len(heap) && compare(heap[child+1], heap[child]) > 0 {
			child++
		}
		if compare(heap[child], heap[i]) <= 0 {
			return
		}
		heap[i], heap[child] = heap[child], heap[i]
		i = child
	}
}
