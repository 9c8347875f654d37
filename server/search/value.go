package search

import (
	"cmp"
	"math"
	"strings"
	"unicode"

	"triality/server/search/query"
)

// class orders values of different kinds, in both directions alike: what diverged never comes before what did not,
// and what is missing comes last.
type class uint8

const (
	finite class = iota
	infinite
	notANumber
	textual
	missing
)

// Value is what a run has under a key.
type Value struct {
	class class
	num   float64 // of numbers
	text  string  // of texts, and of numbers that were logged as text
	key   string  // what texts are ordered by
}

// number is a Value of a number.
func number(v float64) Value {
	switch {
	case math.IsNaN(v):
		return Value{class: notANumber, num: v}
	case math.IsInf(v, 0):
		return Value{class: infinite, num: v}
	}
	return Value{class: finite, num: v}
}

// words is a Value of a text that is none of a number.
func words(text string) Value { return Value{class: textual, text: text, key: collate(text)} }

// parse is a Value of a text that may be a number, as parameters and tags are.
func parse(text string) Value {
	if f, ok := query.Decimal(text); ok {
		v := number(f)
		v.text = text
		return v
	}
	return words(text)
}

var none = Value{class: missing}

// JSON is the value as answers carry it: numbers that are not finite as the strings NaN, Infinity and -Infinity, what
// is missing as nil.
func (v Value) JSON() any {
	switch {
	case v.class == missing:
		return nil
	case v.class == textual || v.text != "":
		return v.text
	case v.class == notANumber:
		return "NaN"
	case v.class == infinite && v.num > 0:
		return "Infinity"
	case v.class == infinite:
		return "-Infinity"
	}
	return v.num
}

// compare orders values within a column; down turns the order inside the classes round, not that of the classes.
func compare(a, b Value, down bool) int {
	if a.class != b.class {
		return cmp.Compare(a.class, b.class)
	}
	order := 0
	switch a.class {
	case finite, infinite:
		order = cmp.Compare(a.num, b.num)
	case textual:
		order = cmp.Compare(a.key, b.key)
	}
	if down {
		return -order
	}
	return order
}

// collate turns a text into one whose bytes order as people expect: case does not count, and "run 10" comes after
// "run 9". Texts that differ in case alone are told apart at the end.
func collate(text string) string {
	var b strings.Builder
	b.Grow(len(text) + 8)
	for i := 0; i < len(text); {
		c := text[i]
		if c < '0' || c > '9' {
			r, n := rune(c), 1
			if c >= 0x80 {
				for n = 1; i+n < len(text) && text[i+n]&0xc0 == 0x80; n++ {
				}
				for _, r = range text[i : i+n] {
					break
				}
			}
			b.WriteRune(unicode.ToLower(r))
			i += n
			continue
		}
		start := i
		for i < len(text) && text[i] >= '0' && text[i] <= '9' {
			i++
		}
		digits := strings.TrimLeft(text[start:i], "0")
		b.WriteByte('0')
		for n := len(digits); ; n -= 255 { // more digits are more
			b.WriteByte(byte(min(n, 255)))
			if n < 255 {
				break
			}
		}
		b.WriteString(digits)
	}
	b.WriteByte(0)
	b.WriteString(text)
	return b.String()
}
