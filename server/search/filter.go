package search

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"triality/server/search/query"
)

// filter gives the rows in scope for which a filter holds. Errors are of type *query.Error: a value that its key
// cannot be compared with.
func (r *resolver) filter(n query.Node) (rowset, error) {
	switch n := n.(type) {
	case query.All:
		out := slices.Clone(r.scope)
		for _, part := range n.Of {
			s, err := r.filter(part)
			if err != nil {
				return nil, err
			}
			out.and(s)
		}
		return out, nil
	case query.Any:
		out := newRowset(len(r.x.rows))
		for _, part := range n.Of {
			s, err := r.filter(part)
			if err != nil {
				return nil, err
			}
			out.or(s)
		}
		return out, nil
	case query.Not:
		s, err := r.filter(n.Of)
		if err != nil {
			return nil, err
		}
		out := slices.Clone(r.scope)
		out.without(s)
		return out, nil
	case query.Text:
		return r.text(n.Text), nil
	case query.Compare:
		return r.compare(n)
	}
	return nil, fmt.Errorf("a filter's part of type %T", n)
}

// text finds rows with a word or phrase in name, id, notes, tags, a parameter's value or the experiment's name.
func (r *resolver) text(text string) rowset {
	text = strings.ToLower(text)
	inName := map[*experiment]bool{}
	for _, e := range r.x.experiments {
		inName[e] = strings.Contains(e.folded, text)
	}
	out := newRowset(len(r.x.rows))
	for i := range r.x.rows {
		if row := &r.x.rows[i]; r.scope.has(uint32(i)) && (inName[row.experiment] || strings.Contains(row.text, text)) {
			out.add(uint32(i))
		}
	}
	return out
}

func (r *resolver) compare(c query.Compare) (rowset, error) {
	col := r.column(c.Key)
	out := newRowset(len(r.x.rows))
	if c.Op == query.Null || c.Op == query.NotNull {
		r.each(col, func(at uint32, v Value) {
			if v.class != missing {
				out.add(at)
			}
		})
		out.and(r.scope)
		if c.Op == query.Null {
			with := out
			out = slices.Clone(r.scope)
			out.without(with)
		}
		return out, nil
	}
	holds, err := r.test(col, c)
	if err != nil {
		return nil, err
	}
	if col.text != nil { // one test for each distinct value
		yes := make([]bool, len(col.text.values))
		for i, v := range col.text.parsed {
			yes[i] = holds(v, col.text.values[i])
		}
		for i, at := range col.text.rows {
			if yes[col.text.codes[i]] {
				out.add(at)
			}
		}
	} else {
		r.each(col, func(at uint32, v Value) {
			if v.class != missing && holds(v, v.text) {
				out.add(at)
			}
		})
	}
	out.and(r.scope)
	return out, nil
}

// each calls f with the rows that may have a value in the column.
func (r *resolver) each(c *column, f func(at uint32, v Value)) {
	switch {
	case c.metric != nil:
		for i, at := range c.metric.rows {
			if r.scope.has(at) {
				f(at, r.folded(c, i))
			}
		}
	case c.text != nil:
		for i, at := range c.text.rows {
			if r.scope.has(at) {
				f(at, c.text.parsed[c.text.codes[i]])
			}
		}
	case c.attr != "":
		for i := range r.x.rows {
			if at := uint32(i); r.scope.has(at) {
				f(at, r.attribute(c.attr, at))
			}
		}
	}
}

// test makes what decides a comparison for one value, which is never missing.
func (r *resolver) test(c *column, q query.Compare) (func(v Value, text string) bool, error) {
	switch {
	case c.attr == attrCreated || c.attr == attrStarted || c.attr == attrEnded:
		return r.testTime(c, q)
	case c.attr == attrDuration:
		return testNumber(c, q, query.Seconds, query.WantDuration)
	case c.metric != nil, q.Key.Kind == query.Metric, q.Key.Fold != query.NoFold:
		return testNumber(c, q, query.Number, "a number")
	case c.attr == attrStatus:
		return testStatus(q)
	}
	return testText(q)
}

func wrongOp(c *column, q query.Compare, what string) error {
	return &query.Error{At: q.Key.At, Text: fmt.Sprintf("%s is %s, which %s does not compare: use =, !=, <, <=, >, >=, IN or IS NULL", c.key, what, q.Op)}
}

func (r *resolver) testTime(c *column, q query.Compare) (func(Value, string) bool, error) {
	if strings.HasSuffix(string(q.Op), "LIKE") {
		return nil, wrongOp(c, q, "a time")
	}
	var spans []query.Span
	for _, v := range q.Values {
		s, ok := query.Time(v.Text, r.now)
		if !ok {
			return nil, &query.Error{At: v.At, Text: fmt.Sprintf("want %s, have %.40q", query.WantTime, v.Text)}
		}
		spans = append(spans, s)
	}
	from, to := float64(spans[0].From.UnixMicro()), float64(spans[0].To.UnixMicro())
	within := func(v float64) bool {
		return slices.ContainsFunc(spans, func(s query.Span) bool {
			from, to := float64(s.From.UnixMicro()), float64(s.To.UnixMicro())
			return v >= from && (v < to || v == from)
		})
	}
	switch q.Op {
	case query.Eq, query.In:
		return func(v Value, _ string) bool { return within(v.num) }, nil
	case query.Ne, query.NotIn:
		return func(v Value, _ string) bool { return !within(v.num) }, nil
	case query.Lt:
		return func(v Value, _ string) bool { return v.num < from }, nil
	case query.Le:
		return func(v Value, _ string) bool { return v.num < max(to, from+1) }, nil
	case query.Gt:
		return func(v Value, _ string) bool { return v.num > from }, nil
	}
	return func(v Value, _ string) bool { return v.num >= from }, nil
}

func testNumber(c *column, q query.Compare, read func(string) (float64, bool), want string) (func(Value, string) bool, error) {
	if strings.HasSuffix(string(q.Op), "LIKE") {
		return nil, wrongOp(c, q, "a number")
	}
	var numbers []float64
	for _, v := range q.Values {
		f, ok := read(v.Text)
		if !ok {
			return nil, &query.Error{At: v.At, Text: fmt.Sprintf("%s: want %s, have %.40q", c.key, want, v.Text)}
		}
		numbers = append(numbers, f)
	}
	if f, ok := ordered(q.Op, numbers[0]); ok {
		return func(v Value, _ string) bool { return f(v.num) }, nil
	}
	return func(v Value, _ string) bool {
		in := slices.ContainsFunc(numbers, func(n float64) bool { return same(v.num, n) })
		return in == (q.Op == query.In)
	}, nil
}

// same says that numbers are equal; NaN is equal to NaN, since whoever writes = NaN looks for it.
func same(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

// ordered is a comparison with a number, where the operator is one; NaN is neither less nor greater than any.
func ordered(op query.Op, n float64) (func(float64) bool, bool) {
	switch op {
	case query.Eq:
		return func(v float64) bool { return same(v, n) }, true
	case query.Ne:
		return func(v float64) bool { return !same(v, n) }, true
	case query.Lt:
		return func(v float64) bool { return v < n }, true
	case query.Le:
		return func(v float64) bool { return v <= n }, true
	case query.Gt:
		return func(v float64) bool { return v > n }, true
	case query.Ge:
		return func(v float64) bool { return v >= n }, true
	}
	return nil, false
}

func testStatus(q query.Compare) (func(Value, string) bool, error) {
	if strings.HasSuffix(string(q.Op), "LIKE") {
		return testText(q)
	}
	for i, v := range q.Values {
		s, ok := statusOf(v.Text)
		if !ok {
			return nil, &query.Error{At: v.At, Text: fmt.Sprintf("want a status (%s), have %.40q", statusList(), v.Text)}
		}
		if i == 0 {
			q.Values = slices.Clone(q.Values)
		}
		q.Values[i] = query.Value{Text: string(s), Quoted: true}
	}
	return testText(q)
}

func statusList() string {
	words := make([]string, len(statuses))
	for i, s := range statuses {
		words[i] = string(s)
	}
	return list(words)
}

// testText compares texts. A number without quotes is compared with those that are numbers as a number.
func testText(q query.Compare) (func(Value, string) bool, error) {
	first := q.Values[0]
	switch q.Op {
	case query.Like, query.NotLike, query.ILike, query.NotILike:
		folded := q.Op == query.ILike || q.Op == query.NotILike
		want := q.Op == query.Like || q.Op == query.ILike
		p := newPattern(first.Text, folded)
		return func(_ Value, text string) bool { return p.matches(text) == want }, nil
	case query.In, query.NotIn:
		want := q.Op == query.In
		var each []func(Value, string) bool
		for _, v := range q.Values {
			each = append(each, equal(v))
		}
		return func(v Value, text string) bool {
			return slices.ContainsFunc(each, func(f func(Value, string) bool) bool { return f(v, text) }) == want
		}, nil
	case query.Eq:
		return equal(first), nil
	case query.Ne:
		f := equal(first)
		return func(v Value, text string) bool { return !f(v, text) }, nil
	}
	if n, ok := query.Decimal(first.Text); ok && !first.Quoted {
		f, _ := ordered(q.Op, n)
		return func(v Value, _ string) bool { return v.class <= infinite && f(v.num) }, nil
	}
	key := collate(first.Text)
	f, _ := ordered(q.Op, 0)
	return func(_ Value, text string) bool { return f(float64(cmp.Compare(collate(text), key))) }, nil
}

func equal(want query.Value) func(Value, string) bool {
	if n, ok := query.Decimal(want.Text); ok && !want.Quoted {
		return func(v Value, text string) bool { return v.class <= infinite && v.num == n || text == want.Text }
	}
	return func(_ Value, text string) bool { return text == want.Text }
}
