package search

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"

	"triality/server/search/query"
)

// maxDistinct is up to where distinct values are counted.
const maxDistinct = 1000

// Facet is a column that some of the matched runs have.
type Facet struct {
	Key       string     `json:"key"` // in full, as filters, orders and columns take it
	Kind      query.Kind `json:"kind"`
	Name      string     `json:"name"`
	Type      string     `json:"type"`     // number, text or mixed
	Runs      int        `json:"runs"`     // matched ones that have it
	Distinct  int        `json:"distinct"` // values among those; 1000: or more
	Varies    bool       `json:"varies"`   // two matched runs have different values
	Direction Direction  `json:"direction,omitempty"`
	Least     *float64   `json:"least,omitempty"` // of the numbers, a metric's last ones
	Greatest  *float64   `json:"greatest,omitempty"`
	Example   string     `json:"example,omitempty"` // the value of a parameter or tag that most runs have
}

// Facets are the columns of the matched runs.
type Facets struct {
	Items []Facet `json:"items"` // metrics, parameters, tags, each in order of name
	Total int     `json:"total"` // matched runs
	// Primary is the key of the metric that the runs are judged by; empty where none is known.
	Primary string `json:"primary"`
	Notes   []Note `json:"notes"`
}

// Columns lists the metrics, parameters and tags of the runs that match, those whose name contains part.
func (x *Index) Columns(ctx context.Context, q Query, part string) (Facets, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if _, err := q.begin(); err != nil {
		return Facets{}, err
	}
	r, matched, err := x.matched(q)
	if err != nil {
		return Facets{}, err
	}
	out := Facets{Items: []Facet{}, Total: matched.count()}
	part = strings.ToLower(part)
	wanted := func(name string) bool { return part == "" || strings.Contains(strings.ToLower(name), part) }
	seen := newCounter()
	for _, c := range x.metrics {
		if ctx.Err() != nil {
			return Facets{}, ctx.Err()
		}
		if wanted(c.name) {
			if f := x.metricFacet(c, matched, seen); f.Runs > 0 {
				out.Items = append(out.Items, f)
			}
		}
	}
	for _, c := range x.texts {
		if ctx.Err() != nil {
			return Facets{}, ctx.Err()
		}
		if wanted(c.name) {
			if f := textFacet(c, matched); f.Runs > 0 {
				out.Items = append(out.Items, f)
			}
		}
	}
	metrics := slices.DeleteFunc(slices.Clone(out.Items), func(f Facet) bool { return f.Kind != query.Metric })
	out.Primary = x.primary(q.Experiments, metrics)
	rank := map[query.Kind]int{query.Metric: 0, query.Param: 1, query.Tag: 2}
	keys := make(map[string]string, len(out.Items))
	for _, f := range out.Items {
		keys[f.Name] = collate(f.Name)
	}
	slices.SortFunc(out.Items, func(a, b Facet) int {
		return cmp.Or(cmp.Compare(rank[a.Kind], rank[b.Kind]), strings.Compare(keys[a.Name], keys[b.Name]))
	})
	for i := range out.Items {
		f := &out.Items[i]
		f.Key = query.Key{Kind: f.Kind, Name: f.Name}.String()
		f.Varies = f.Distinct > 1 || f.Runs < out.Total
	}
	out.Notes = append([]Note{}, r.notes...)
	return out, nil
}

// counter counts distinct numbers.
type counter struct{ seen map[uint64]struct{} }

func newCounter() *counter { return &counter{map[uint64]struct{}{}} }

func (x *Index) metricFacet(c *metricColumn, matched rowset, seen *counter) Facet {
	f := Facet{Kind: query.Metric, Name: c.name, Type: "number", Direction: x.defaultDirection(c)}
	clear(seen.seen)
	least, greatest := math.Inf(1), math.Inf(-1)
	var only *experiment
	for i, at := range c.rows {
		if !matched.has(at) {
			continue
		}
		f.Runs++
		v := c.stats[i].Last
		if len(seen.seen) < maxDistinct {
			seen.seen[math.Float64bits(v)] = struct{}{}
		}
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			least, greatest = min(least, v), max(greatest, v)
		}
		if e := x.rows[at].experiment; e != only && len(e.directions) > 0 {
			only, f.Direction = e, x.direction(c, at)
		}
	}
	f.Distinct = len(seen.seen)
	if least <= greatest {
		f.Least, f.Greatest = &least, &greatest
	}
	return f
}

func textFacet(c *textColumn, matched rowset) Facet {
	f := Facet{Kind: c.kind, Name: c.name}
	counts := make([]int, len(c.values))
	least, greatest := math.Inf(1), math.Inf(-1)
	numbers, texts := false, false
	for i, at := range c.rows {
		if !matched.has(at) {
			continue
		}
		f.Runs++
		code := c.codes[i]
		if counts[code]++; counts[code] > 1 {
			continue
		}
		f.Distinct = min(f.Distinct+1, maxDistinct)
		switch v := c.parsed[code]; v.class {
		case finite:
			numbers = true
			least, greatest = min(least, v.num), max(greatest, v.num)
		case textual:
			texts = true
		default:
			numbers = true
		}
	}
	most := 0
	for code, n := range counts {
		if v := c.values[code]; n > most || n == most && n > 0 && v < f.Example {
			most, f.Example = n, v
		}
	}
	f.Example = cut(f.Example)
	switch {
	case numbers && texts:
		f.Type = "mixed"
	case numbers:
		f.Type = "number"
	default:
		f.Type = "text"
	}
	if least <= greatest {
		f.Least, f.Greatest = &least, &greatest
	}
	return f
}
