package jinja

import (
	"slices"
	"strconv"
)

// tuple parses expressions with commas between; one alone is itself. Within parentheses it may be
// empty.
func (p *parser) tuple(one func() (expr, error), parentheses bool) (expr, error) {
	line := pos(p.cur().line)
	var items []expr
	comma := false
	for {
		if t := p.cur(); t.kind == kClose || t.kind == kStop || p.isOp(")") {
			break
		}
		e, err := one()
		if err != nil {
			return nil, err
		}
		items = append(items, e)
		if !p.skip(",") {
			break
		}
		comma = true
	}
	if len(items) == 1 && !comma {
		return items[0], nil
	}
	if len(items) == 0 && !parentheses {
		return nil, fail(int(line), "expected an expression, found %v", p.cur())
	}
	return listExpr{line, items, true}, nil
}

func (p *parser) expression() (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	e, err := p.or()
	for err == nil && p.isName("if") {
		line := pos(p.next().line)
		c := conditional{pos: line, yes: e}
		if c.cond, err = p.or(); err != nil {
			return nil, err
		}
		if p.skip("else") {
			if c.no, err = p.expression(); err != nil {
				return nil, err
			}
		}
		e = c
	}
	return e, err
}

// left parses operators of one level that group to the left.
func (p *parser) left(operand func() (expr, error), ops ...string) (expr, error) {
	e, err := operand()
	for err == nil {
		t := p.cur()
		if t.kind != kOp && t.kind != kName || !slices.Contains(ops, t.text) {
			break
		}
		p.next()
		var right expr
		if right, err = operand(); err == nil {
			e = binary{pos(t.line), t.text, e, right}
		}
	}
	return e, err
}

func (p *parser) or() (expr, error)  { return p.left(p.and, "or") }
func (p *parser) and() (expr, error) { return p.left(p.not, "and") }

func (p *parser) not() (expr, error) {
	if !p.isName("not") {
		return p.compare()
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	line := pos(p.next().line)
	e, err := p.not()
	return unary{line, "not", e}, err
}

func (p *parser) compare() (expr, error) {
	e, err := p.sum()
	if err != nil {
		return nil, err
	}
	c := comparison{pos: pos(p.cur().line), first: e}
	for {
		op := ""
		switch t := p.cur(); {
		case t.kind == kOp && slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, t.text), p.isName("in"):
			op = t.text
			p.next()
		case p.isName("not") && p.peek().kind == kName && p.peek().text == "in":
			op = "not in"
			p.next()
			p.next()
		default:
			if len(c.ops) == 0 {
				return e, nil
			}
			return c, nil
		}
		right, err := p.sum()
		if err != nil {
			return nil, err
		}
		c.ops, c.rest = append(c.ops, op), append(c.rest, right)
	}
}

func (p *parser) sum() (expr, error)     { return p.left(p.concat, "+", "-") }
func (p *parser) concat() (expr, error)  { return p.left(p.product, "~") }
func (p *parser) product() (expr, error) { return p.left(p.power, "*", "/", "//", "%") }
func (p *parser) power() (expr, error) {
	return p.left(func() (expr, error) { return p.sign(true) }, "**")
}

func (p *parser) sign(filters bool) (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	var e expr
	var err error
	if t := p.cur(); p.isOp("-") || p.isOp("+") {
		p.next()
		e, err = p.sign(false)
		e = unary{pos(t.line), t.text, e}
	} else {
		e, err = p.primary()
	}
	if err == nil {
		e, err = p.postfix(e)
	}
	if err == nil && filters {
		e, err = p.filters(e)
	}
	return e, err
}

func (p *parser) primary() (expr, error) {
	t := p.next()
	line := pos(t.line)
	switch t.kind {
	case kName:
		switch t.text {
		case "true", "True":
			return constant{line, true}, nil
		case "false", "False":
			return constant{line, false}, nil
		case "none", "None":
			return constant{line, nil}, nil
		}
		return name{line, t.text}, nil
	case kString:
		s := t.text
		for p.cur().kind == kString {
			s += p.next().text
		}
		return constant{line, s}, nil
	case kInt:
		return integer(t)
	case kFloat:
		f, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			return nil, fail(t.line, "the number %s is too large", t.text)
		}
		return constant{line, f}, nil
	}
	if t.kind == kOp {
		switch t.text {
		case "(":
			e, err := p.tuple(p.expression, true)
			if err != nil {
				return nil, err
			}
			return e, p.expect(")")
		case "[":
			l := listExpr{pos: line}
			for !p.skip("]") {
				if len(l.items) > 0 {
					if err := p.expect(","); err != nil {
						return nil, err
					}
					if p.skip("]") {
						break
					}
				}
				e, err := p.expression()
				if err != nil {
					return nil, err
				}
				l.items = append(l.items, e)
			}
			return l, nil
		case "{":
			return p.dict(line)
		}
	}
	return nil, fail(t.line, "expected an expression, found %v", t)
}

func (p *parser) dict(line pos) (expr, error) {
	d := dictExpr{pos: line}
	for !p.skip("}") {
		if len(d.keys) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
			if p.skip("}") {
				break
			}
		}
		k, err := p.expression()
		if err != nil {
			return nil, err
		}
		if err := p.expect(":"); err != nil {
			return nil, err
		}
		v, err := p.expression()
		if err != nil {
			return nil, err
		}
		d.keys, d.values = append(d.keys, k), append(d.values, v)
	}
	return d, nil
}

// postfix parses attributes, subscripts and calls after e.
func (p *parser) postfix(e expr) (expr, error) {
	for {
		line := pos(p.cur().line)
		var err error
		switch {
		case p.skip("."):
			t := p.next()
			switch t.kind {
			case kName:
				e = attribute{line, e, t.text}
			case kInt:
				var key expr
				if key, err = integer(t); err == nil {
					e = item{line, e, key}
				}
			default:
				err = fail(t.line, "expected a name or a number after '.', found %v", t)
			}
		case p.skip("["):
			e, err = p.subscript(line, e)
		case p.isOp("("):
			c := call{pos: line, of: e}
			c.arguments, err = p.arguments()
			e = c
		default:
			return e, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (p *parser) subscript(line pos, of expr) (expr, error) {
	var parts [3]expr
	n := 0
	for ; n < 3; n++ {
		var err error
		if !p.isOp(":") && !p.isOp("]") {
			if parts[n], err = p.expression(); err != nil {
				return nil, err
			}
		}
		if !p.skip(":") {
			break
		}
	}
	if err := p.expect("]"); err != nil {
		return nil, err
	}
	if n == 0 {
		if parts[0] == nil {
			return nil, fail(int(line), "an empty subscript")
		}
		return item{line, of, parts[0]}, nil
	}
	return sliceExpr{line, of, parts[0], parts[1], parts[2]}, nil
}

func (p *parser) arguments() (a arguments, err error) {
	if err := p.expect("("); err != nil {
		return a, err
	}
	for first := true; !p.skip(")"); first = false {
		if !first {
			if err := p.expect(","); err != nil {
				return a, err
			}
			if p.skip(")") {
				break
			}
		}
		if p.isOp("*") || p.isOp("**") {
			return a, fail(p.cur().line, "%s in a call is not supported", p.cur().text)
		}
		named := ""
		if t := p.peek(); p.cur().kind == kName && t.kind == kOp && t.text == "=" {
			named = p.next().text
			p.next()
		}
		e, err := p.expression()
		switch {
		case err != nil:
			return a, err
		case named != "":
			a.names, a.kwargs = append(a.names, named), append(a.kwargs, e)
		case len(a.names) > 0:
			return a, fail(e.at(), "an argument without a name after one with")
		default:
			a.args = append(a.args, e)
		}
	}
	return a, nil
}

// filters parses filters and tests after e.
func (p *parser) filters(e expr) (expr, error) {
	for {
		line := pos(p.cur().line)
		var err error
		switch {
		case p.skip("|"):
			f := filter{pos: line, of: e}
			if f.id, err = p.name(); err == nil && p.isOp("(") {
				f.arguments, err = p.arguments()
			}
			e = f
		case p.skip("is"):
			e, err = p.test(line, e)
		case p.isOp("("):
			c := call{pos: line, of: e}
			c.arguments, err = p.arguments()
			e = c
		default:
			return e, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (p *parser) test(line pos, of expr) (expr, error) {
	t := test{pos: line, of: of, not: p.skip("not")}
	var err error
	if t.id, err = p.name(); err != nil {
		return nil, err
	}
	switch c := p.cur(); {
	case p.isOp("("):
		t.arguments, err = p.arguments()
	case p.isName("else"), p.isName("or"), p.isName("and"):
	case p.isName("is"):
		err = fail(c.line, "tests cannot be chained; put one in parentheses")
	case c.kind == kName, c.kind == kString, c.kind == kInt, c.kind == kFloat, p.isOp("["), p.isOp("{"):
		var arg expr
		if arg, err = p.primary(); err == nil {
			if arg, err = p.postfix(arg); err == nil {
				t.args = []expr{arg}
			}
		}
	}
	return t, err
}
