package search

import (
	"cmp"
	"slices"
	"strings"

	"triality/server/search/query"
)

// near lists the keys of runs in scope that are spelled most like an unknown one, three at most.
func (r *resolver) near(k query.Key) []string {
	want := strings.ToLower(k.Name)
	type found struct {
		key  string
		cost int
	}
	var all []found
	try := func(key query.Key) {
		name := strings.ToLower(key.Name)
		limit := max(1, len(want)/3)
		if abs(len(name)-len(want)) > limit { // a long name's last part may be what was meant
			if name = lastPart(name); abs(len(name)-len(want)) > limit && !strings.Contains(strings.ToLower(key.Name), want) {
				return
			}
		}
		cost := distance(want, name)
		if strings.Contains(strings.ToLower(key.Name), want) && len(want) > 1 {
			cost = min(cost, limit)
		}
		if cost > limit {
			return
		}
		if k.Kind != query.Short && k.Kind != key.Kind {
			cost += limit // the right word with the wrong kind comes after a like word of the kind
		}
		all = append(all, found{key.String(), cost})
	}
	if k.Fold == query.NoFold {
		for _, name := range Attributes {
			try(query.Key{Kind: query.Attribute, Name: name})
		}
		for _, c := range r.x.texts {
			if r.scope.any(c.rows) {
				try(query.Key{Kind: c.kind, Name: c.name})
			}
		}
	}
	for _, c := range r.x.metrics {
		if r.scope.any(c.rows) {
			try(query.Key{Kind: query.Metric, Name: c.name, Fold: k.Fold})
		}
	}
	slices.SortFunc(all, func(a, b found) int { return cmp.Or(cmp.Compare(a.cost, b.cost), cmp.Compare(a.key, b.key)) })
	var out []string
	for _, f := range all[:min(3, len(all))] {
		out = append(out, f.key)
	}
	return out
}

func abs(n int) int { return max(n, -n) }

// distance counts the letters to insert, drop, change or swap with the next.
func distance(a, b string) int {
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			change := row[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			next[j] = min(change, row[j]+1, next[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
