package query

import (
	"fmt"
	"strings"
)

// Limits of a filter.
const (
	MaxBytes = 16 << 10
	MaxTerms = 200 // comparisons, words and phrases
	maxDepth = 100
)

// Parse reads a filter. One of nothing but space gives an All of no parts. Errors are of type *Error.
func Parse(text string) (Node, error) {
	p, err := newParser(text)
	if err != nil {
		return nil, err
	}
	if p.tok().kind == end {
		return All{}, nil
	}
	n, err := p.any()
	if err != nil {
		return nil, err
	}
	if p.tok().kind != end {
		return nil, p.want("AND, OR or the end")
	}
	return n, nil
}

// ParseKey reads a key, such as metrics.loss, best(eval/f1) or lr.
func ParseKey(text string) (Key, error) {
	p, err := newParser(text)
	if err != nil {
		return Key{}, err
	}
	k, err := p.key()
	if err == nil && p.tok().kind != end {
		err = p.want("the end")
	}
	return k, err
}

// ParseOrder reads a key that ASC or DESC may follow; without them the order is ascending.
func ParseOrder(text string) (Order, error) {
	p, err := newParser(text)
	if err != nil {
		return Order{}, err
	}
	k, err := p.key()
	if err != nil {
		return Order{}, err
	}
	o := Order{Key: k}
	switch {
	case p.tok().is("desc"):
		o.Descending = true
		p.i++
	case p.tok().is("asc"):
		p.i++
	}
	if p.tok().kind != end {
		return o, p.want("ASC, DESC or the end")
	}
	return o, nil
}

type parser struct {
	toks  []token
	i     int
	depth int
	terms int
}

func newParser(text string) (*parser, error) {
	if len(text) > MaxBytes {
		return nil, errorAt(1, "%d bytes, at most %d", len(text), MaxBytes)
	}
	toks, err := lex(text)
	return &parser{toks: toks}, err
}

func (p *parser) tok() token { return p.peek(0) }

// peek is the token n further on, the end past it.
func (p *parser) peek(n int) token { return p.toks[min(p.i+n, len(p.toks)-1)] }

func (p *parser) want(what string) error {
	return errorAt(p.tok().at, "want %s, have %s", what, p.tok())
}

func (p *parser) any() (Node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, errorAt(p.tok().at, "it is nested more than %d deep", maxDepth)
	}
	defer func() { p.depth-- }()
	var parts []Node
	for {
		n, err := p.all()
		if err != nil {
			return nil, err
		}
		if parts = append(parts, n); !p.tok().is("or") {
			break
		}
		p.i++
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return Any{parts}, nil
}

// all reads parts with AND or nothing between them.
func (p *parser) all() (Node, error) {
	var parts []Node
	for {
		n, err := p.not()
		if err != nil {
			return nil, err
		}
		parts = append(parts, n)
		if p.tok().is("and") {
			p.i++
		} else if t := p.tok(); t.kind == end || t.kind == closing || t.is("or") {
			break
		}
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return All{parts}, nil
}

func (p *parser) not() (Node, error) {
	if !p.tok().is("not") {
		return p.term()
	}
	if p.depth++; p.depth > maxDepth {
		return nil, errorAt(p.tok().at, "it is nested more than %d deep", maxDepth)
	}
	defer func() { p.depth-- }()
	p.i++
	n, err := p.not()
	return Not{n}, err
}

func (p *parser) term() (Node, error) {
	if p.tok().kind == open {
		p.i++
		n, err := p.any()
		if err != nil {
			return nil, err
		}
		if p.tok().kind != closing {
			return nil, p.want("AND, OR or )")
		}
		p.i++
		return n, nil
	}
	if p.terms++; p.terms > MaxTerms {
		return nil, errorAt(p.tok().at, "more than %d comparisons and words", MaxTerms)
	}
	first := p.tok()
	reserved := (first.is("and") || first.is("or")) && !p.comparesAt(1)
	if reserved || first.kind != word && first.kind != quoted {
		return nil, p.want("a comparison such as loss < 0.5, a word, NOT or (")
	}
	start := p.i
	k, err := p.key()
	if err != nil {
		return nil, err
	}
	if p.comparesAt(0) {
		return p.comparison(k)
	}
	if k.Fold != NoFold {
		return nil, p.want("a comparison such as > 0.5")
	}
	if p.i == start+1 {
		return Text{first.text, first.at}, nil
	}
	return nil, p.want("a comparison such as = 'x'")
}

// comparesAt says that a comparison goes on at the token n further on: keywords are words where it does not.
func (p *parser) comparesAt(n int) bool {
	t, next := p.peek(n), p.peek(n+1)
	value := next.kind == word && !keyword(next.text) || next.kind == quoted
	switch {
	case t.kind == operator:
		return true
	case t.is("in"):
		return next.kind == open
	case t.is("like"), t.is("ilike"):
		return value
	case t.is("is"):
		return next.is("null") || next.is("not") && p.peek(n+2).is("null")
	case t.is("not"):
		return next.is("in") && p.peek(n+2).kind == open || (next.is("like") || next.is("ilike")) && p.peek(n+2).kind != end
	}
	return false
}

func (p *parser) comparison(k Key) (Node, error) {
	c := Compare{Key: k}
	t := p.tok()
	p.i++
	if t.kind == operator {
		c.Op = Op(t.text)
		v, err := p.value()
		c.Values = []Value{v}
		return c, err
	}
	name := strings.ToUpper(t.text)
	if name == "NOT" || name == "IS" && p.tok().is("not") {
		name += " " + strings.ToUpper(p.tok().text)
		p.i++
	}
	if strings.HasPrefix(name, "IS") {
		c.Op = Op(name + " NULL")
		p.i++
		return c, nil
	}
	c.Op = Op(name)
	if c.Op != In && c.Op != NotIn {
		v, err := p.value()
		c.Values = []Value{v}
		return c, err
	}
	for p.i++; ; p.i++ { // past the parenthesis or the comma
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		if c.Values = append(c.Values, v); p.tok().kind == comma {
			continue
		}
		if p.tok().kind != closing {
			return nil, p.want(", or )")
		}
		p.i++
		return c, nil
	}
}

func (p *parser) value() (Value, error) {
	t := p.tok()
	switch {
	case t.is("null"):
		return Value{}, errorAt(t.at, "want a value; IS NULL and IS NOT NULL ask whether there is one")
	case t.kind == quoted, t.kind == word && !keyword(t.text):
		p.i++
		return Value{t.text, t.kind == quoted, t.at}, nil
	}
	return Value{}, p.want("a value: a number, a word or a text in quotes")
}

// key reads a key, within a fold or alone.
func (p *parser) key() (Key, error) {
	t := p.tok()
	if next := p.peek(1); t.kind == word && next.kind == open && next.glued {
		for _, f := range folds {
			if t.is(string(f)) {
				return p.folded(f)
			}
		}
		return Key{}, errorAt(t.at, "want last, min, max, best, mean or count before (, have %s", t)
	}
	switch t.kind {
	case quoted:
		p.i++
		if t.text == "" {
			return Key{}, errorAt(t.at, "want a name between the quotes")
		}
		return Key{Name: t.text, At: t.at}, nil
	case word:
		p.i++
	default:
		return Key{}, p.want("a key such as metrics.loss, params.lr or name")
	}
	kind, name, dotted := cutKind(t.text)
	if next := p.tok(); dotted && name == "" && next.kind == quoted && next.glued {
		name = next.text
		p.i++
	}
	if name == "" {
		return Key{}, errorAt(t.at, "want a name after %s", t)
	}
	return Key{Kind: kind, Name: name, At: t.at}, nil
}

func (p *parser) folded(f Fold) (Key, error) {
	at := p.tok().at
	p.i += 2
	k, err := p.key()
	if err != nil {
		return k, err
	}
	if k.Fold != NoFold || k.Kind != Short && k.Kind != Metric {
		return k, errorAt(k.At, "want a metric in %s(), have %s", f, k)
	}
	if p.tok().kind != closing {
		return k, p.want(")")
	}
	p.i++
	k.Fold, k.At = f, at
	return k, nil
}

// kinds are the prefixes of keys, MLflow's names among them.
var kinds = map[string]Kind{
	"metric": Metric, "metrics": Metric,
	"param": Param, "params": Param, "parameter": Param, "parameters": Param,
	"tag": Tag, "tags": Tag,
	"attr": Attribute, "attribute": Attribute, "attributes": Attribute, "run": Attribute,
	"dataset": Dataset, "datasets": Dataset,
}

// cutKind cuts the prefix off a key, where it has one.
func cutKind(text string) (kind Kind, name string, dotted bool) {
	prefix, rest, ok := strings.Cut(text, ".")
	if k, known := kinds[strings.ToLower(prefix)]; ok && known {
		return k, rest, true
	}
	return Short, text, false
}

// Terms is how many comparisons and texts a filter has.
func Terms(n Node) (terms int) {
	Walk(n, func(Node) { terms++ })
	return terms
}

// Walk calls f with every Compare and Text of a filter.
func Walk(n Node, f func(Node)) {
	switch n := n.(type) {
	case All:
		for _, part := range n.Of {
			Walk(part, f)
		}
	case Any:
		for _, part := range n.Of {
			Walk(part, f)
		}
	case Not:
		Walk(n.Of, f)
	case Compare, Text:
		f(n)
	default:
		panic(fmt.Sprintf("a filter's part of type %T", n))
	}
}
