package jinja

// expr is an expression.
type expr interface{ at() int }

type pos int

func (p pos) at() int { return int(p) }

type (
	constant struct {
		pos
		value any
	}
	name struct {
		pos
		id string
	}
	listExpr struct {
		pos
		items []expr
		tuple bool
	}
	dictExpr struct {
		pos
		keys, values []expr
	}
	attribute struct {
		pos
		of expr
		id string
	}
	item struct {
		pos
		of, key expr
	}
	sliceExpr struct {
		pos
		of               expr
		from, to, stride expr // nil where left out
	}
	arguments struct {
		args   []expr
		names  []string // of kwargs
		kwargs []expr
	}
	call struct {
		pos
		of expr
		arguments
	}
	filter struct {
		pos
		of expr
		id string
		arguments
	}
	test struct {
		pos
		of  expr
		id  string
		not bool
		arguments
	}
	unary struct {
		pos
		op string // not, -, +
		of expr
	}
	binary struct {
		pos
		op          string // and, or, ~ and arithmetic
		left, right expr
	}
	comparison struct {
		pos
		first expr
		ops   []string // ==, …, in, not in
		rest  []expr
	}
	conditional struct {
		pos
		cond, yes, no expr // no is nil where left out
	}
)

// node is a piece of the template's body.
type node interface{}

type (
	text   string
	output struct {
		pos
		of expr
	}
	branch struct {
		conds  []expr
		bodies [][]node
		other  []node
	}
	loop struct {
		pos
		target      expr // name, or a tuple of them
		over        expr
		only        expr // the if of a for
		body, other []node
	}
	assign struct {
		pos
		target expr // name, attribute (of a namespace), or a tuple of names
		value  expr
		body   []node // where value is nil
	}
	macroNode struct {
		pos
		id       string
		params   []string
		defaults []expr // of the last params
		body     []node
	}
	jump  string // break, continue
	group []node // generation
)
