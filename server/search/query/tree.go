package query

import (
	"slices"
	"strings"
)

// Node is a filter or a part of one: All, Any, Not, Compare or Text.
type Node interface {
	// String is the part in the language, so that parsing it gives the same tree.
	String() string
}

// All holds where every part does, and where it has none.
type All struct{ Of []Node }

// Any holds where one of its parts does.
type Any struct{ Of []Node }

// Not holds where its part does not, so also for runs that lack the part's key.
type Not struct{ Of Node }

// Text is a bare word or a quoted phrase, looked for whatever its case.
type Text struct {
	Text string
	At   int // its place in the filter, in characters from 1
}

// Compare holds a key against values: one of them, several for In and NotIn, none for Null and NotNull.
type Compare struct {
	Key    Key
	Op     Op
	Values []Value
}

// Op is how a key is compared.
type Op string

// The comparisons. Apart from Null, none holds for a run that lacks the key.
const (
	Eq       Op = "="
	Ne       Op = "!="
	Lt       Op = "<"
	Le       Op = "<="
	Gt       Op = ">"
	Ge       Op = ">="
	Like     Op = "LIKE"
	ILike    Op = "ILIKE"
	NotLike  Op = "NOT LIKE"
	NotILike Op = "NOT ILIKE"
	In       Op = "IN"
	NotIn    Op = "NOT IN"
	Null     Op = "IS NULL"
	NotNull  Op = "IS NOT NULL"
)

// Value is what a key is compared with, as it was written. A quoted one is text also where it looks like a number.
type Value struct {
	Text   string
	Quoted bool
	At     int
}

// Kind is what a key names.
type Kind string

// The kinds. Short is a key without one: what it names is found out among the keys that runs have.
const (
	Short     Kind = ""
	Metric    Kind = "metrics"
	Param     Kind = "params"
	Tag       Kind = "tags"
	Attribute Kind = "attributes"
	Dataset   Kind = "datasets"
)

// Fold is the one number that a metric's points become.
type Fold string

// The folds. NoFold is Last.
const (
	NoFold Fold = ""
	Last   Fold = "last"
	Min    Fold = "min"
	Max    Fold = "max"
	Best   Fold = "best"  // the greatest or the least, by the metric's direction
	Mean   Fold = "mean"  // over the last ten points
	Count  Fold = "count" // of points
)

var folds = []Fold{Last, Min, Max, Best, Mean, Count}

// Key names something that a run has.
type Key struct {
	Kind Kind
	Name string
	Fold Fold
	At   int
}

// Order is a key that lists are ordered by.
type Order struct {
	Key        Key
	Descending bool
}

func join(parts []Node, with string) string {
	texts := make([]string, len(parts))
	for i, p := range parts {
		texts[i] = p.String()
		switch inner := p.(type) {
		case All:
			if len(inner.Of) > 1 {
				texts[i] = "(" + texts[i] + ")"
			}
		case Any:
			texts[i] = "(" + texts[i] + ")"
		}
	}
	return strings.Join(texts, with)
}

func (a All) String() string { return join(a.Of, " AND ") }
func (a Any) String() string { return join(a.Of, " OR ") }

func (n Not) String() string {
	switch n.Of.(type) {
	case All, Any:
		return "NOT (" + n.Of.String() + ")"
	}
	return "NOT " + n.Of.String()
}

func (t Text) String() string { return quote(t.Text, '"') }

func (c Compare) String() string {
	text := c.Key.String() + " " + string(c.Op)
	switch c.Op {
	case Null, NotNull:
		return text
	case In, NotIn:
		values := make([]string, len(c.Values))
		for i, v := range c.Values {
			values[i] = v.String()
		}
		return text + " (" + strings.Join(values, ", ") + ")"
	}
	return text + " " + c.Values[0].String()
}

func (v Value) String() string {
	if v.Quoted || !plain(v.Text) || keyword(v.Text) {
		return quote(v.Text, '\'')
	}
	return v.Text
}

// String is the key in the language, quoted where it has to be.
func (k Key) String() string {
	name := k.Name
	if k.Kind == Short {
		if kind, _, ok := cutKind(name); !plain(name) || keyword(name) || ok && kind != Short {
			name = quote(name, '`')
		}
	} else {
		if !plain(name) {
			name = quote(name, '`')
		}
		name = string(k.Kind) + "." + name
	}
	if k.Fold != NoFold {
		return string(k.Fold) + "(" + name + ")"
	}
	return name
}

// String is the key with its direction.
func (o Order) String() string {
	if o.Descending {
		return o.Key.String() + " DESC"
	}
	return o.Key.String() + " ASC"
}

// quote puts text between quotes; those inside are doubled.
func quote(text string, with byte) string {
	q := string(with)
	return q + strings.ReplaceAll(text, q, q+q) + q
}

// plain says that text is one word to the lexer.
func plain(text string) bool {
	toks, err := lex(text)
	return err == nil && len(toks) == 2 && toks[0].kind == word && toks[0].text == text
}

func keyword(text string) bool {
	return slices.Contains([]string{"AND", "OR", "NOT", "IN", "LIKE", "ILIKE", "IS", "NULL"}, strings.ToUpper(text))
}
