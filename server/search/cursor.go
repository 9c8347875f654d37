package search

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"triality/experiments"
)

// cursor is the place of a page's last run, with the values it had then: a run that changes between two pages moves,
// and every other is seen once.
type cursor struct {
	Of      string    `json:"of"` // digest of the query
	Now     time.Time `json:"now"`
	Values  []mark    `json:"values"`
	Created int64     `json:"created"`
	ID      string    `json:"id"`
}

// mark is a Value as a cursor carries it.
type mark struct {
	Class class  `json:"c"`
	Bits  string `json:"n,omitempty"` // of the number, hexadecimal
	Text  string `json:"t,omitempty"`
	Raw   bool   `json:"r,omitempty"` // its text is its key
}

func cursorAt(p *place) *cursor {
	c := &cursor{Created: p.created, ID: p.id, Values: []mark{}}
	for _, v := range p.values {
		m := mark{Class: v.class}
		switch v.class {
		case finite, infinite:
			m.Bits = strconv.FormatUint(math.Float64bits(v.num), 16)
		case textual:
			m.Text, m.Raw = v.text, v.text == v.key
		}
		c.Values = append(c.Values, m)
	}
	return c
}

func (c *cursor) place() *place {
	p := &place{created: c.Created, id: c.ID}
	for _, m := range c.Values {
		v := Value{class: m.Class}
		switch m.Class {
		case finite, infinite:
			bits, _ := strconv.ParseUint(m.Bits, 16, 64) // readCursor has seen that it is one
			v.num = math.Float64frombits(bits)
		case textual:
			if v.text, v.key = m.Text, m.Text; !m.Raw {
				v.key = collate(m.Text)
			}
		}
		p.values = append(p.values, v)
	}
	return p
}

func (c *cursor) String() string {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings and numbers
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// readCursor reads a cursor of a query with that digest and so many orders.
func readCursor(text, of string, orders int) (*cursor, error) {
	c := &cursor{}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(b, c)
	}
	sound := func(m mark) bool {
		_, err := strconv.ParseUint(m.Bits, 16, 64)
		return m.Class <= missing && (m.Class > infinite || err == nil)
	}
	if err != nil || slices.ContainsFunc(c.Values, func(m mark) bool { return !sound(m) }) {
		return nil, experiments.Errorf(experiments.CodeInvalid, "cursor %.40q is none that a search gave", text)
	}
	if c.Of != of || len(c.Values) != orders {
		return nil, experiments.Errorf(experiments.CodeInvalid, "cursor: it is of a search with another filter, order or scope: leave it out to begin anew")
	}
	return c, nil
}

// digest tells queries apart that do not have the same pages.
func (q *Query) digest() string {
	filter := ""
	if q.Filter != nil {
		filter = q.Filter.String()
	}
	ids := slices.Clone(q.Experiments)
	slices.Sort(ids)
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %v %q %q", filter, q.Order, ids, q.Archived))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

func formatBits(v float64) string {
	if v == 0 {
		v = 0 // -0 is 0
	}
	return strconv.FormatUint(math.Float64bits(v), 16)
}
