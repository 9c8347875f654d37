package jinja

import (
	"slices"
	"strconv"
)

// Bounds on a template.
const (
	maxSource  = 1 << 20 // bytes
	maxNesting = 200     // of tags and of expressions
)

type parser struct {
	toks  []token
	at    int
	depth int
	loops int
}

func (p *parser) cur() token  { return p.toks[p.at] }
func (p *parser) peek() token { return p.toks[min(p.at+1, len(p.toks)-1)] }

func (p *parser) next() token {
	t := p.toks[p.at]
	if p.at+1 < len(p.toks) {
		p.at++
	}
	return t
}

func (p *parser) isOp(s string) bool   { return p.cur().kind == kOp && p.cur().text == s }
func (p *parser) isName(s string) bool { return p.cur().kind == kName && p.cur().text == s }

func (p *parser) skip(s string) bool {
	if t := p.cur(); (t.kind == kOp || t.kind == kName) && t.text == s {
		p.next()
		return true
	}
	return false
}

func (p *parser) expect(s string) error {
	if !p.skip(s) {
		return fail(p.cur().line, "expected '%s', found %v", s, p.cur())
	}
	return nil
}

func (p *parser) name() (string, error) {
	t := p.next()
	if t.kind != kName {
		return "", fail(t.line, "expected a name, found %v", t)
	}
	return t.text, nil
}

func (p *parser) enter() error {
	if p.depth++; p.depth > maxNesting {
		return fail(p.cur().line, "more than %d levels of nesting", maxNesting)
	}
	return nil
}

// body parses up to a tag of one of these names, which it leaves as the current token.
func (p *parser) body(ends ...string) ([]node, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	var out []node
	for {
		t := p.next()
		switch t.kind {
		case kEnd:
			if len(ends) > 0 {
				return nil, fail(t.line, "the template ends where '%s' was expected", ends[len(ends)-1])
			}
			return out, nil
		case kData:
			out = append(out, text(t.text))
		case kOpen:
			e, err := p.tuple(p.expression, false)
			if err != nil {
				return nil, err
			}
			if end := p.next(); end.kind != kClose {
				return nil, fail(end.line, "expected the end of the expression, found %v", end)
			}
			out = append(out, output{pos(t.line), e})
		case kBegin:
			if p.cur().kind == kName && slices.Contains(ends, p.cur().text) {
				return out, nil
			}
			n, err := p.statement()
			if err != nil {
				return nil, err
			}
			out = append(out, n)
		}
	}
}

// stop takes the end of a tag.
func (p *parser) stop() error {
	if t := p.next(); t.kind != kStop {
		return fail(t.line, "expected the end of the tag, found %v", t)
	}
	return nil
}

func (p *parser) statement() (node, error) {
	line := pos(p.cur().line)
	id, err := p.name()
	if err != nil {
		return nil, err
	}
	switch id {
	case "if":
		return p.ifTag()
	case "for":
		return p.forTag(line)
	case "set":
		return p.setTag(line)
	case "macro":
		return p.macroTag(line)
	case "break", "continue":
		if p.loops == 0 {
			return nil, fail(int(line), "%s outside a loop", id)
		}
		return jump(id), p.stop()
	case "generation": // transformers' mark of the assistant's words
		if err := p.stop(); err != nil {
			return nil, err
		}
		body, err := p.body("endgeneration")
		if err != nil {
			return nil, err
		}
		p.next()
		return group(body), p.stop()
	}
	return nil, fail(int(line), "the tag {%% %s %%} is not supported in a chat template; if, for, set, macro, break, continue and generation are", id)
}

func (p *parser) ifTag() (node, error) {
	var b branch
	for {
		cond, err := p.tuple(p.or, false)
		if err != nil {
			return nil, err
		}
		if err := p.stop(); err != nil {
			return nil, err
		}
		body, err := p.body("elif", "else", "endif")
		if err != nil {
			return nil, err
		}
		b.conds, b.bodies = append(b.conds, cond), append(b.bodies, body)
		switch p.next().text {
		case "elif":
			continue
		case "else":
			if err := p.stop(); err != nil {
				return nil, err
			}
			if b.other, err = p.body("endif"); err != nil {
				return nil, err
			}
			p.next()
		}
		return b, p.stop()
	}
}

func (p *parser) forTag(line pos) (node, error) {
	l := loop{pos: line}
	var err error
	if l.target, err = p.target(false); err != nil {
		return nil, err
	}
	if err := p.expect("in"); err != nil {
		return nil, err
	}
	if l.over, err = p.tuple(p.or, false); err != nil {
		return nil, err
	}
	if p.skip("if") {
		if l.only, err = p.expression(); err != nil {
			return nil, err
		}
	}
	if p.isName("recursive") {
		return nil, fail(int(line), "a recursive loop is not supported")
	}
	if err := p.stop(); err != nil {
		return nil, err
	}
	p.loops++
	l.body, err = p.body("else", "endfor")
	p.loops--
	if err != nil {
		return nil, err
	}
	if p.next().text == "else" {
		if err := p.stop(); err != nil {
			return nil, err
		}
		if l.other, err = p.body("endfor"); err != nil {
			return nil, err
		}
		p.next()
	}
	return l, p.stop()
}

// target is a name, names with commas, or, in set, an attribute.
func (p *parser) target(attributes bool) (expr, error) {
	line := pos(p.cur().line)
	paren := p.skip("(")
	var items []expr
	comma := false
	for {
		id, err := p.name()
		if err != nil {
			return nil, err
		}
		if slices.Contains([]string{"true", "True", "false", "False", "none", "None"}, id) {
			return nil, fail(int(line), "cannot assign to %s", id)
		}
		if attributes && !paren && len(items) == 0 && p.skip(".") {
			field, err := p.name()
			return attribute{line, name{line, id}, field}, err
		}
		items = append(items, name{line, id})
		if !p.skip(",") {
			break
		}
		if comma = true; p.cur().kind != kName || p.isName("in") {
			break
		}
	}
	if paren {
		if err := p.expect(")"); err != nil {
			return nil, err
		}
	}
	if len(items) == 1 && !comma {
		return items[0], nil
	}
	return listExpr{line, items, true}, nil
}

func (p *parser) setTag(line pos) (node, error) {
	s := assign{pos: line}
	var err error
	if s.target, err = p.target(true); err != nil {
		return nil, err
	}
	if p.skip("=") {
		if s.value, err = p.tuple(p.expression, false); err != nil {
			return nil, err
		}
		return s, p.stop()
	}
	if p.isOp("|") {
		return nil, fail(int(line), "a filter on a set block is not supported")
	}
	if err := p.stop(); err != nil {
		return nil, err
	}
	loops := p.loops
	p.loops = 0
	s.body, err = p.body("endset")
	p.loops = loops
	if err != nil {
		return nil, err
	}
	p.next()
	return s, p.stop()
}

func (p *parser) macroTag(line pos) (node, error) {
	m := macroNode{pos: line}
	var err error
	if m.id, err = p.name(); err != nil {
		return nil, err
	}
	if err := p.expect("("); err != nil {
		return nil, err
	}
	for !p.skip(")") {
		if len(m.params) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		id, err := p.name()
		if err != nil {
			return nil, err
		}
		m.params = append(m.params, id)
		if p.skip("=") {
			d, err := p.expression()
			if err != nil {
				return nil, err
			}
			m.defaults = append(m.defaults, d)
		} else if len(m.defaults) > 0 {
			return nil, fail(int(line), "macro %s: parameter %s without a default after one with", m.id, id)
		}
	}
	if err := p.stop(); err != nil {
		return nil, err
	}
	loops := p.loops
	p.loops = 0
	m.body, err = p.body("endmacro")
	p.loops = loops
	if err != nil {
		return nil, err
	}
	p.next()
	if p.cur().kind == kName { // endmacro may repeat the name
		p.next()
	}
	return m, p.stop()
}

// integer reads an integer literal.
func integer(t token) (expr, error) {
	n, err := strconv.ParseInt(t.text, 10, 64)
	if err != nil {
		return nil, fail(t.line, "the number %s does not fit in 64 bits", t.text)
	}
	return constant{pos(t.line), n}, nil
}
