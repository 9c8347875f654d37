package dataset

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"triality/experiments"
)

// manyRows makes rows: n groups of one to three rows each, labels in turn.
func manyRows(n int) []Row {
	rng := rand.New(rand.NewPCG(3, 4))
	var rows []Row
	for g := range n {
		for k := range 1 + rng.IntN(3) {
			rows = append(rows, Row{Input: fmt.Sprintf("request %d of group %d: %x", k, g, rng.Uint64()), Output: "o",
				Label: experiments.Labels[g%len(experiments.Labels)], Group: fmt.Sprintf("g%d", g)})
		}
	}
	return rows
}

func split(t *testing.T, rows []Row, pairs []Pair, o SplitOptions) []int {
	t.Helper()
	assign, err := Split(rows, pairs, o)
	if err != nil {
		t.Fatal(err)
	}
	return assign
}

var tenTwenty = SplitOptions{ValRatio: 0.1, TestRatio: 0.2, Seed: 7}

func TestRowsOfOneGroupNeverStraddleSplits(t *testing.T) {
	rows := manyRows(120)
	of := map[string]int{}
	for i, s := range split(t, rows, nil, tenTwenty) {
		if had, ok := of[rows[i].Group]; ok && had != s {
			t.Errorf("group %s is in %s and %s", rows[i].Group, SplitNames[had], SplitNames[s])
		}
		of[rows[i].Group] = s
	}
}

func TestRowsWithoutAGroupAreGroupedByTheirText(t *testing.T) {
	rows := manyRows(60)
	for i := range rows {
		rows[i].Group = ""
	}
	twin := rows[5]
	twin.Instruction = "said otherwise"
	rows = append(rows, twin)
	for seed := range uint64(20) {
		assign := split(t, rows, nil, SplitOptions{ValRatio: 0.2, TestRatio: 0.2, Seed: seed})
		if assign[5] != assign[len(rows)-1] {
			t.Fatalf("seed %d: the same text is in %s and %s", seed, SplitNames[assign[5]], SplitNames[assign[len(rows)-1]])
		}
	}
}

func TestNearDuplicatesNeverStraddleSplits(t *testing.T) {
	rows := manyRows(80)
	rng := rand.New(rand.NewPCG(9, 9))
	var pairs []Pair
	for range 40 {
		i, j := rng.IntN(len(rows)), rng.IntN(len(rows))
		if i != j {
			pairs = append(pairs, Pair{I: min(i, j), J: max(i, j)})
		}
	}
	for seed := range uint64(10) {
		assign := split(t, rows, pairs, SplitOptions{ValRatio: 0.2, TestRatio: 0.3, Seed: seed})
		for _, p := range pairs {
			if assign[p.I] != assign[p.J] {
				t.Errorf("seed %d: near-duplicates %d and %d are in %s and %s", seed, p.I, p.J, SplitNames[assign[p.I]], SplitNames[assign[p.J]])
			}
		}
	}
}

func TestEachLabelsGroupsAreSharedOutInTheRatios(t *testing.T) {
	rows := manyRows(203)
	assign := split(t, rows, nil, tenTwenty)
	groups := map[string][3]map[string]bool{}
	for i, s := range assign {
		g, ok := groups[rows[i].Label]
		if !ok {
			g = [3]map[string]bool{{}, {}, {}}
			groups[rows[i].Label] = g
		}
		g[s][rows[i].Group] = true
	}
	for label, g := range groups {
		n := float64(len(g[0]) + len(g[1]) + len(g[2]))
		for s, ratio := range []float64{0.7, 0.1, 0.2} {
			if math.Abs(float64(len(g[s]))-n*ratio) > 1 {
				t.Errorf("%s: %d of %v groups in %s, want %v ± 1", label, len(g[s]), n, SplitNames[s], n*ratio)
			}
		}
	}
}

func TestTheSeedDecidesTheSplitAndTheOrderOfTheRowsDoesNot(t *testing.T) {
	rows := manyRows(100)
	// Groups of mixed labels must not depend on which row comes first either.
	for i := range rows {
		if i%7 == 0 {
			rows[i].Label = "REFUSE"
		}
	}
	pairs := []Pair{{I: 3, J: 90}, {I: 10, J: 40}}
	first := split(t, rows, pairs, tenTwenty)
	for i, s := range split(t, rows, pairs, tenTwenty) {
		if s != first[i] {
			t.Fatalf("row %d: the same seed gave %d and %d", i, first[i], s)
		}
	}
	other := split(t, rows, pairs, SplitOptions{ValRatio: 0.1, TestRatio: 0.2, Seed: 8})
	moved := 0
	for i := range rows {
		if other[i] != first[i] {
			moved++
		}
	}
	if moved == 0 {
		t.Error("another seed gave the same split")
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 5 {
		perm := rng.Perm(len(rows)) // shuffled[k] is rows[perm[k]]
		at := make([]int, len(rows))
		shuffled := make([]Row, len(rows))
		for k, i := range perm {
			shuffled[k], at[i] = rows[i], k
		}
		var moved []Pair
		for _, p := range pairs {
			moved = append(moved, Pair{I: min(at[p.I], at[p.J]), J: max(at[p.I], at[p.J])})
		}
		for k, s := range split(t, shuffled, moved, tenTwenty) {
			if s != first[perm[k]] {
				t.Fatalf("row %d went to %s, in another order to %s", perm[k], SplitNames[first[perm[k]]], SplitNames[s])
			}
		}
	}
}

func TestAnEmptySplitIsAnErrorThatNamesTheRatio(t *testing.T) {
	tests := []struct {
		name  string
		rows  []Row
		o     SplitOptions
		split string
	}{
		{"too few groups for validation", manyRows(8), SplitOptions{ValRatio: 0.1, TestRatio: 0.5}, "the val split is empty"},
		{"too few groups for the test", manyRows(8), SplitOptions{ValRatio: 0.5, TestRatio: 0.1}, "the test split is empty"},
		{"nothing left to train on", manyRows(4), SplitOptions{ValRatio: 0, TestRatio: 0.9}, "the train split is empty"},
		{"one group of many rows", []Row{{Input: "a", Label: "DENY", Group: "g"}, {Input: "b", Label: "DENY", Group: "g"}}, SplitOptions{ValRatio: 0.5, TestRatio: 0.2}, "split is empty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Split(tt.rows, nil, tt.o)
			if err == nil || experiments.CodeOf(err) != experiments.CodeInvalid {
				t.Fatalf("error %v", err)
			}
			for _, w := range []string{tt.split, fmt.Sprintf("data.val_ratio %v", tt.o.ValRatio), fmt.Sprintf("data.test_ratio %v", tt.o.TestRatio)} {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q lacks %q", err, w)
				}
			}
		})
	}
	if _, err := Split(manyRows(8), nil, SplitOptions{}); err != nil {
		t.Errorf("a ratio of 0 wants no rows: %v", err)
	}
}

func TestAClustersLabelIsThatOfMostRowsAndOfEquallyCommonOnesTheFirst(t *testing.T) {
	rows := []Row{{Label: experiments.Labels[2]}, {Label: experiments.Labels[1]}, {Label: experiments.Labels[2]}, {Label: experiments.Labels[1]}}
	if got := commonLabel(rows, []int{0, 1, 2, 3}); got != 1 {
		t.Errorf("two of each: label %d, want 1", got)
	}
	if got := commonLabel(rows, []int{0, 1, 2}); got != 2 {
		t.Errorf("two of three: label %d, want 2", got)
	}
}

// The key decides a cluster's place in the split: another choice would share out every dataset anew.
func TestAClustersKeyIsTheSmallestNameOfItsGroups(t *testing.T) {
	rows := []Row{{Group: "m"}, {Group: "b"}, {Group: "x"}, {Input: "a text without a group"}}
	for _, members := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {1}} {
		if got := groupKey(rows, members); got != "g:b" {
			t.Errorf("%v: %q", members, got)
		}
	}
}
