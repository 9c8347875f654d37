package dataset

import (
	"context"
	"slices"
)

// Pair is two rows by index, I < J, that stay in one split.
type Pair struct{ I, J int }

// Near is what NearDuplicates finds.
type Near struct {
	// Pairs join every row to the others of its cluster: rows that are near-duplicates, directly or through others, and
	// not all of one group. They are a forest, so at most one fewer than the rows.
	Pairs []Pair
	// Unproven counts the pairs that were joined without being compared: NearDuplicates says when.
	Unproven int
}

// NearDuplicates joins the texts whose character 5-gram sets, lower-cased and with white space folded, have a
// Jaccard similarity of at least 0.7, and misses none. Pairs of one group, where a text's group is not empty, are
// joined by that already and not looked for; groups may be nil. Rows far from each other cost time near n log n;
// at worst, where most are nearly alike, it is n² comparisons of 256 bytes. Among more than 20,000 texts, one
// that fails more than 400 million / n exact comparisons is joined with what else may be near it unproven, so the bound costs
// precision and never a near-duplicate. done, which may be nil, counts texts in three passes. The error is the context's.
func NearDuplicates(ctx context.Context, texts, groups []string, done func(int)) (Near, error) {
	return nearWithin(ctx, texts, groups, done, budgetOf)
}

// nearWithin is NearDuplicates where each of n classes has budget(n) exact comparisons in vain.
func nearWithin(ctx context.Context, texts, groups []string, done func(int), budget func(n int) int) (Near, error) {
	if done == nil {
		done = func(int) {}
	}
	c, err := newCorpus(ctx, texts, done)
	if err != nil || len(texts) == 0 {
		return Near{}, err
	}
	m := newMerger(c, groups)
	j := joiner{
		corpus: c, budget: budget(c.classes()), wanted: m.wanted, settle: m.forest.settle,
		hub:   func(y int) int { return m.forest.root[y] },
		found: func(x, y int) { m.join(x, y) },
		beyond: func(x, y int) {
			if m.join(x, y) {
				m.out.Unproven++
			}
		},
	}
	err = j.run(ctx, func(n int) { done(2*len(texts) + n*len(texts)/c.classes()) })
	return m.out, err
}

// merger joins classes, and the rows in them.
type merger struct {
	*corpus
	forest *forest
	group  []int  // by class: the group of all its rows; −1 where they are of several, or of none
	tied   []bool // by class: its rows are joined
	out    Near
}

func newMerger(c *corpus, groups []string) *merger {
	m := &merger{corpus: c, forest: newForest(c.classes()), group: make([]int, c.classes()), tied: make([]bool, c.classes())}
	ids := map[string]int{}
	for k := range m.group {
		m.group[k] = -1
		rows := c.members(k)
		if groups != nil && groups[rows[0]] != "" && !slices.ContainsFunc(rows, func(r uint32) bool { return groups[r] != groups[rows[0]] }) {
			id, ok := ids[groups[rows[0]]]
			if !ok {
				id = len(ids)
				ids[groups[rows[0]]] = id
			}
			m.group[k] = id
			continue
		}
		m.tie(k)
	}
	return m
}

// tie joins the rows of a class.
func (m *merger) tie(k int) {
	if m.tied[k] {
		return
	}
	m.tied[k] = true
	rows := m.members(k)
	for _, r := range rows[1:] {
		m.out.Pairs = append(m.out.Pairs, Pair{int(rows[0]), int(r)})
	}
}

func (m *merger) wanted(x, y int) bool {
	return m.forest.root[x] != m.forest.root[y] && (m.group[x] < 0 || m.group[x] != m.group[y])
}

// join joins two classes; it says whether they were apart.
func (m *merger) join(x, y int) bool {
	if !m.forest.join(x, y) {
		return false
	}
	// Each row of one is near those of the other, so a class whose rows are one group's is joined by that.
	m.tie(x)
	m.tie(y)
	a, b := int(m.members(x)[0]), int(m.members(y)[0])
	m.out.Pairs = append(m.out.Pairs, Pair{min(a, b), max(a, b)})
	return true
}

// forest is a union-find.
type forest struct {
	parent []int
	root   []int // of each element, as of the last settle
}

func newForest(n int) *forest {
	f := &forest{parent: make([]int, n), root: make([]int, n)}
	for i := range n {
		f.parent[i], f.root[i] = i, i
	}
	return f
}

func (f *forest) find(i int) int {
	for f.parent[i] != i {
		f.parent[i] = f.parent[f.parent[i]]
		i = f.parent[i]
	}
	return i
}

// join says whether the two were apart.
func (f *forest) join(a, b int) bool {
	a, b = f.find(a), f.find(b)
	f.parent[max(a, b)] = min(a, b)
	return a != b
}

func (f *forest) settle() {
	for i := range f.root {
		f.root[i] = f.find(i)
	}
}
