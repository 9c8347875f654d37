package dataset

import (
	"cmp"
	"math"
	"slices"

	"triality/experiments"
)

// SplitNames are the splits in the order they are written.
var SplitNames = []string{"train", "val", "test"}

// SplitOptions configures Split.
type SplitOptions struct {
	ValRatio, TestRatio float64
	Seed                uint64
}

// Split assigns each row to train, val or test (0, 1, 2). Rows that share source_sample stay
// together, and so do groups that near-duplicate rows join; each label's groups are shared out in the
// ratios, in an order given by the seed. pairs are the near-duplicates among the rows' texts.
func Split(rows []Row, pairs []Pair, o SplitOptions) ([]int, error) {
	groups := clusters(rows, pairs)
	byLabel := make([][]int, len(experiments.Labels))
	for g, members := range groups {
		l := commonLabel(rows, members)
		byLabel[l] = append(byLabel[l], g)
	}
	assign := make([]int, len(rows))
	counts := make([]int, len(SplitNames))
	for _, ids := range byLabel {
		slices.SortFunc(ids, func(a, b int) int {
			ka := mix(fnv64(groupKey(rows, groups[a])) ^ mix(o.Seed))
			kb := mix(fnv64(groupKey(rows, groups[b])) ^ mix(o.Seed))
			if c := cmp.Compare(ka, kb); c != 0 {
				return c
			}
			return cmp.Compare(a, b)
		})
		n := float64(len(ids))
		test := int(math.Round(n * o.TestRatio))
		val := int(math.Round(n * o.ValRatio))
		for i, g := range ids {
			split := 0
			switch {
			case i < test:
				split = 2
			case i < test+val:
				split = 1
			}
			counts[split]++
			for _, r := range groups[g] {
				assign[r] = split
			}
		}
	}
	wanted := []float64{1, o.ValRatio, o.TestRatio}
	for i, name := range SplitNames {
		if counts[i] == 0 && wanted[i] > 0 {
			return nil, experiments.Errorf(experiments.CodeInvalid,
				"the %s split is empty: %d groups of rows (by source_sample) are too few for data.val_ratio %v and data.test_ratio %v; add rows or change the ratios",
				name, len(groups), o.ValRatio, o.TestRatio)
		}
	}
	return assign, nil
}

// commonLabel is the label of most rows of a cluster, of equally common ones the first in Labels.
func commonLabel(rows []Row, members []int) int {
	counts := make([]int, len(experiments.Labels))
	best := 0
	for _, m := range members {
		counts[experiments.LabelIndex(rows[m].Label)]++
	}
	for l, n := range counts {
		if n > counts[best] {
			best = l
		}
	}
	return best
}

// groupKey is the smallest group name of a cluster, so that the order of the rows does not matter.
func groupKey(rows []Row, members []int) string {
	key := ""
	for i, m := range members {
		if g := rows[m].groupName(); i == 0 || g < key {
			key = g
		}
	}
	return key
}

func (r *Row) groupName() string {
	if r.Group != "" {
		return "g:" + r.Group
	}
	return "t:" + r.Text()
}

// clusters joins rows by group and by near-duplicate pair, in the order of their first row.
func clusters(rows []Row, pairs []Pair) [][]int {
	f := newForest(len(rows))
	first := map[string]int{}
	for i := range rows {
		g := rows[i].groupName()
		if at, ok := first[g]; ok {
			f.join(at, i)
		} else {
			first[g] = i
		}
	}
	for _, p := range pairs {
		f.join(p.I, p.J)
	}
	index := map[int]int{}
	var out [][]int
	for i := range rows {
		root := f.find(i)
		g, ok := index[root]
		if !ok {
			g = len(out)
			index[root] = g
			out = append(out, nil)
		}
		out[g] = append(out[g], i)
	}
	return out
}
