package cuda

import "slices"

// keptTables are the tables that were sent last: the layers of a model share their key ranges, and what
// is planned from them.
type keptTables struct {
	tables [4]keptTable
	next   int // to be replaced
}

type keptTable struct {
	span
	ints []int32
}

// kept gives a table's address on the card, good until the call ends: a call may keep one table.
func (c *call) kept(x []int32) uint64 {
	k := &c.d.kept
	if c.failed || len(x) == 0 {
		return 0
	}
	for _, t := range k.tables {
		if slices.Equal(t.ints, x) {
			return t.at
		}
	}
	t := &k.tables[k.next]
	k.next = (k.next + 1) % len(k.tables)
	if t.size > 0 {
		c.d.pool.put(t.at, t.size) // the stream orders its next use after the work that reads it
		*t = keptTable{}
	}
	at := c.table(x)
	if c.failed {
		return 0
	}
	last := len(c.scratch) - 1
	*t = keptTable{c.scratch[last], x}
	c.scratch = c.scratch[:last] // it stays
	return at
}
