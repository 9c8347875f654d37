package experiments

import (
	"cmp"
	"slices"
)

// GroupScore is how often both arms of an A/B test are right on the rows of one language or domain.
type GroupScore struct {
	By     string `json:"by"` // "language", "domain"
	Value  string `json:"value"`
	Rows   int    `json:"rows"`
	RightA int    `json:"right_a"`
	RightB int    `json:"right_b"`
	OnlyA  int    `json:"only_a"` // rows that only A has right
	OnlyB  int    `json:"only_b"`
}

// mostGroups bounds what a tally keeps: rows of further groups are in none.
const mostGroups = 1000

// GroupTally counts rows one at a time.
type GroupTally map[[2]string]*GroupScore

// Add counts a row in its language and its domain.
func (t GroupTally) Add(s Sample) {
	for _, key := range [][2]string{{"language", s.Language}, {"domain", s.Domain}} {
		if key[1] == "" {
			continue
		}
		g := t[key]
		if g == nil {
			if len(t) >= mostGroups {
				continue
			}
			g = &GroupScore{By: key[0], Value: key[1]}
			t[key] = g
		}
		a, b := s.PredictionA == s.Label, s.PredictionB == s.Label
		g.Rows++
		for n, is := range map[*int]bool{&g.RightA: a, &g.RightB: b, &g.OnlyA: a && !b, &g.OnlyB: b && !a} {
			if is {
				*n++
			}
		}
	}
}

// Scores are the groups: languages, then domains, the largest first.
func (t GroupTally) Scores() []GroupScore {
	out := make([]GroupScore, 0, len(t))
	for _, g := range t {
		out = append(out, *g)
	}
	slices.SortFunc(out, func(a, b GroupScore) int {
		return cmp.Or(cmp.Compare(b.By, a.By), cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.Value, b.Value))
	})
	return out
}

// GroupScores counts all rows.
func GroupScores(rows []Sample) []GroupScore {
	t := GroupTally{}
	for _, s := range rows {
		t.Add(s)
	}
	return t.Scores()
}
