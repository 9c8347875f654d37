package inference

// Clusters is the cluster of each row, numbered from 0 in the order in which they first occur.
type Clusters struct {
	Of    []int
	Count int
}

// ClustersOf numbers the clusters of keys, one a row. A row with an empty key is a cluster of its own.
func ClustersOf(keys []string) Clusters {
	c := Clusters{Of: make([]int, len(keys))}
	seen := map[string]int{}
	for i, k := range keys {
		n, ok := seen[k]
		if !ok || k == "" {
			n = c.Count
			c.Count++
			seen[k] = n
		}
		c.Of[i] = n
	}
	return c
}

// Rows are n rows each of which is a cluster of its own.
func Rows(n int) Clusters { return ClustersOf(make([]string, n)) }

// Of the rows with these indices: their clusters, numbered anew.
func (c Clusters) Select(rows []int) Clusters {
	out := Clusters{Of: make([]int, len(rows))}
	seen := map[int]int{}
	for i, r := range rows {
		n, ok := seen[c.Of[r]]
		if !ok {
			n = out.Count
			out.Count++
			seen[c.Of[r]] = n
		}
		out.Of[i] = n
	}
	return out
}

// Sizes are the rows of each cluster.
func (c Clusters) Sizes() []int {
	sizes := make([]int, c.Count)
	for _, n := range c.Of {
		sizes[n]++
	}
	return sizes
}

// Largest is the rows of the largest cluster.
func (c Clusters) Largest() int {
	most := 0
	for _, n := range c.Sizes() {
		most = max(most, n)
	}
	return most
}

// Sums adds up a figure of each row by cluster.
func (c Clusters) Sums(rows []float64) []float64 {
	sums := make([]float64, c.Count)
	for i, n := range c.Of {
		sums[n] += rows[i]
	}
	return sums
}
