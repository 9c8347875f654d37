package search

import (
	"slices"
	"strings"

	"triality/server/search/query"
)

// metricColumn holds the series of one name, in order of their rows.
type metricColumn struct {
	name    string
	natural Direction // by its name
	rows    []uint32
	stats   []Stats // those without points are of numbers that the run's record gives
}

// find is the place of a row, or where it would stand.
func find(rows []uint32, r uint32) (int, bool) {
	if n := len(rows); n == 0 || rows[n-1] < r {
		return n, false // as when rows are filled in order
	}
	return slices.BinarySearch(rows, r)
}

func (c *metricColumn) set(r uint32, s Stats) {
	at, there := find(c.rows, r)
	if there {
		c.stats[at] = s
		return
	}
	c.rows, c.stats = slices.Insert(c.rows, at, r), slices.Insert(c.stats, at, s)
}

func (c *metricColumn) unset(r uint32) {
	if at, there := find(c.rows, r); there {
		c.rows, c.stats = slices.Delete(c.rows, at, at+1), slices.Delete(c.stats, at, at+1)
	}
}

// textColumn holds a parameter or a tag, in order of the rows. Equal values are kept once.
type textColumn struct {
	kind  query.Kind
	name  string
	rows  []uint32
	codes []uint32 // places in values
	dictionary
	stamp uint64 // of the last record that had it
}

// dictionary holds the distinct values of a column.
type dictionary struct {
	values []string
	parsed []Value // the same, as they compare
	code   map[string]uint32
}

func (d *dictionary) add(v string) uint32 {
	code, ok := d.code[v]
	if !ok {
		if d.code == nil {
			d.code = map[string]uint32{}
		}
		v = strings.Clone(v) // of a whole record, of which no more should stay
		code = uint32(len(d.values))
		d.values, d.parsed = append(d.values, v), append(d.parsed, parse(v))
		d.code[v] = code
	}
	return code
}

func (c *textColumn) set(r uint32, v string) {
	code := c.add(v)
	at, there := find(c.rows, r)
	if there {
		c.codes[at] = code
		c.tidy()
		return
	}
	c.rows, c.codes = slices.Insert(c.rows, at, r), slices.Insert(c.codes, at, code)
}

func (c *textColumn) unset(r uint32) {
	if at, there := find(c.rows, r); there {
		c.rows, c.codes = slices.Delete(c.rows, at, at+1), slices.Delete(c.codes, at, at+1)
	}
}

// tidy drops values that no row has any more, when they are most: a tag may count up.
func (c *textColumn) tidy() {
	if len(c.values) < 64+2*len(c.rows) {
		return
	}
	old := c.values
	c.dictionary = dictionary{}
	for i, code := range c.codes {
		c.codes[i] = c.add(old[code])
	}
}
