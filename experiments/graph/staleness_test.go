package graph

import (
	"fmt"
	"slices"
	"testing"
)

// For every pair of steps of a generated graph of 200: a change of one changes the other's key where that is the one itself or
// depends on it, however far, and nowhere else. A step is stale where its key is not that of its result.
func TestAChangeOfOneOf200StepsChangesTheKeysOfThoseThatDependOnIt(t *testing.T) {
	const n = 200
	state := uint64(12)
	draw := func(k int) int {
		state = state*6364136223846793005 + 1442695040888963407
		return int(state>>33) % k
	}
	var steps []Step
	needs := make([][]int, n)
	for i := range n {
		var from []string
		for range min(i, draw(4)) {
			j := draw(i)
			needs[i] = append(needs[i], j)
			from = append(from, fmt.Sprint("s", j))
		}
		steps = append(steps, step(fmt.Sprint("s", i), []string{"cheap", "costly"}[draw(2)], from...))
	}
	listed := slices.Clone(steps) // in another order than the one in which they need each other
	for i := range listed {
		j := draw(i + 1)
		listed[i], listed[j] = listed[j], listed[i]
	}
	dir, b := t.TempDir(), &bench{}
	keys := func() map[string]string {
		out := map[string]string{}
		for _, s := range plan(t, b, dir, listed...).Steps {
			out[s.Name] = s.Key
		}
		return out
	}
	before, pairs := keys(), 0
	for change := range n {
		own := steps[change].Body.(*body)
		own.Seed++
		after := keys()
		own.Seed--
		depends := make([]bool, n)
		for i := range n {
			depends[i] = i == change || slices.ContainsFunc(needs[i], func(j int) bool { return depends[j] })
			name := fmt.Sprint("s", i)
			if changed := before[name] != after[name]; changed != depends[i] {
				t.Fatalf("s%d changed: the key of %s changed: %t, want %t", change, name, changed, depends[i])
			}
			pairs++
		}
	}
	if pairs != n*n {
		t.Errorf("%d pairs", pairs)
	}
}
