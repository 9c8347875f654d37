package search

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"triality/experiments"
	"triality/server/search/query"
)

// MaxGroups is how many groups an answer has at most.
const MaxGroups = 1000

// Spread is what a group's runs have in a column of numbers. Values that are not finite are left out of all but
// Missing.
type Spread struct {
	Runs     int      `json:"runs"`           // that have a finite number
	Missing  int      `json:"missing"`        // that have none, or one that is not finite
	Mean     *float64 `json:"mean,omitempty"` // left out where no run has a number
	SD       *float64 `json:"sd,omitempty"`   // of the sample, from two runs on
	Least    *float64 `json:"least,omitempty"`
	Greatest *float64 `json:"greatest,omitempty"`
}

// Group is the runs that are alike in the columns grouped by.
type Group struct {
	By      map[string]any    `json:"by"` // a column that the group's runs lack is left out
	Runs    int               `json:"runs"`
	Columns map[string]Spread `json:"columns"`
}

// Groups are the groups of the matched runs.
type Groups struct {
	Items   []Group  `json:"items"`
	Total   int      `json:"total"`  // matched runs
	Groups  int      `json:"groups"` // all there are; Items are a page of them
	Columns []string `json:"columns"`
	Notes   []Note   `json:"notes"`
}

// sums adds up one column of one group.
type sums struct {
	n               int
	mean, m2        float64 // Welford, BF01214137
	least, greatest float64
}

func (s *sums) add(v float64) {
	if s.n++; s.n == 1 {
		s.least, s.greatest = v, v
	}
	s.least, s.greatest = min(s.least, v), max(s.greatest, v)
	d := v - s.mean
	s.mean += d / float64(s.n)
	s.m2 += d * (v - s.mean)
}

func (s *sums) spread(runs int) Spread {
	out := Spread{Runs: s.n, Missing: runs - s.n}
	if s.n > 0 {
		out.Mean, out.Least, out.Greatest = &s.mean, &s.least, &s.greatest
	}
	if s.n > 1 {
		sd := math.Sqrt(s.m2 / float64(s.n-1))
		out.SD = &sd
	}
	return out
}

type group struct {
	first  []Value // of the columns grouped by
	by     map[string]any
	runs   int
	sums   []sums
	ranked []Value
}

// Groups puts the matched runs into groups by the columns of by and gives the mean and spread of the query's columns
// in each. They come in the order of the query's keys, of which one grouped by counts itself and any other its mean;
// without keys, by the columns grouped by.
func (x *Index) Groups(ctx context.Context, q Query, by []query.Key) (Groups, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if q.Cursor != "" {
		return Groups{}, experiments.Errorf(experiments.CodeInvalid, "cursor: groups have none; offset passes over some")
	}
	if len(by) == 0 || len(by) > MaxOrders || len(q.Columns) > 100 {
		return Groups{}, experiments.Errorf(experiments.CodeInvalid, "group_by: want 1 to %d columns such as params.lr, and at most 100 columns to sum up", MaxOrders)
	}
	limit := q.Limit
	if limit <= 0 {
		limit = MaxGroups
	}
	if _, err := q.begin(); err != nil {
		return Groups{}, err
	}
	skip := 0
	if q.Offset != nil {
		skip = *q.Offset
	}
	r, matched, err := x.matched(q)
	if err != nil {
		return Groups{}, err
	}
	rows := matched.list()
	out := Groups{Items: []Group{}, Total: len(rows), Columns: []string{}}
	var keys, columns []*column
	for _, k := range by {
		keys = append(keys, r.column(k))
	}
	for _, k := range q.Columns {
		c := r.column(k)
		columns, out.Columns = append(columns, c), append(out.Columns, c.key.String())
	}
	rank := make([]*column, 0, len(q.Order))
	for _, o := range q.Order {
		rank = append(rank, r.column(o.Key))
	}
	groups, err := r.gather(ctx, rows, keys, append(slices.Clone(columns), rank...))
	if err != nil {
		return Groups{}, err
	}
	for _, g := range groups {
		for i, c := range rank {
			g.ranked = append(g.ranked, g.rank(c, keys, &g.sums[len(columns)+i]))
		}
	}
	slices.SortFunc(groups, func(a, b *group) int {
		for i, o := range q.Order {
			if c := compare(a.ranked[i], b.ranked[i], o.Descending); c != 0 {
				return c
			}
		}
		for i := range keys {
			if c := compare(a.first[i], b.first[i], false); c != 0 {
				return c
			}
		}
		return 0
	})
	out.Groups = len(groups)
	for _, g := range groups[min(skip, len(groups)):][:min(max(0, len(groups)-skip), limit, MaxGroups)] {
		item := Group{By: g.by, Runs: g.runs, Columns: map[string]Spread{}}
		for i := range columns {
			item.Columns[out.Columns[i]] = g.sums[i].spread(g.runs)
		}
		out.Items = append(out.Items, item)
	}
	out.Notes = append([]Note{}, r.notes...)
	return out, nil
}

// rank is what a group is ordered by for a column.
func (g *group) rank(c *column, keys []*column, s *sums) Value {
	for i, k := range keys {
		if k.key == c.key {
			return g.first[i]
		}
	}
	if s.n == 0 {
		return none
	}
	return number(s.mean)
}

// gather makes the groups and sums up the columns.
func (r *resolver) gather(ctx context.Context, rows []uint32, keys, columns []*column) ([]*group, error) {
	all := map[string]*group{}
	var out []*group
	for n, at := range rows {
		if n%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var id strings.Builder
		values := make([]Value, len(keys))
		for i, k := range keys {
			values[i] = r.value(k, at)
			of := values[i].identity()
			fmt.Fprintf(&id, "%d %s", len(of), of)
		}
		g := all[id.String()]
		if g == nil {
			g = &group{first: values, by: map[string]any{}, sums: make([]sums, len(columns))}
			for _, k := range keys {
				if v := r.json(k, at); v != nil {
					g.by[k.key.String()] = v
				}
			}
			all[id.String()] = g
			out = append(out, g)
		}
		g.runs++
		for i, c := range columns {
			if v := r.value(c, at); v.class == finite {
				g.sums[i].add(v.num)
			}
		}
	}
	return out, nil
}

// identity is equal for values that are: 1e-4 and 0.0001 make one group.
func (v Value) identity() string {
	switch v.class {
	case finite, infinite:
		return string(rune('a'+v.class)) + formatBits(v.num)
	case textual:
		return "t" + v.text
	}
	return string(rune('a' + v.class))
}
