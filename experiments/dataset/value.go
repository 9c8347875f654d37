package dataset

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// ValueKind is what a field that the schema does not know holds.
type ValueKind uint8

// The kinds of values.
const (
	Null   ValueKind = iota
	String           // Text is the string itself, of all others the JSON
	Int              // fits int64
	Float            // fits float64 and is not an Int
	Number           // fits neither
	Bool
	JSON // a list or an object
)

var kindNames = [...]string{"null", "text", "integers", "numbers with a fraction", "numbers too large for 64 bits", "true or false", "lists or objects"}

// Value is one value, as the row has it.
type Value struct {
	Kind ValueKind
	Text string
}

// Field is a named value.
type Field struct {
	Name string
	Value
}

// valueOf is a valid JSON value.
func valueOf(raw []byte) Value {
	switch raw[0] {
	case 'n':
		return Value{}
	case 't', 'f':
		return Value{Bool, string(raw)}
	case '{', '[':
		return Value{JSON, string(raw)}
	case '"':
		return Value{String, unquote(raw)}
	}
	text := string(raw)
	if _, err := strconv.ParseInt(text, 10, 64); err == nil && text != "-0" {
		return Value{Int, text}
	}
	if v, err := strconv.ParseFloat(text, 64); err == nil && !math.IsInf(v, 0) && strings.ContainsAny(text, ".eE-") {
		if strings.ContainsAny(text, ".eE") || text == "-0" {
			return Value{Float, text}
		}
	}
	return Value{Number, text}
}

// unquote is the string of a valid JSON string.
func unquote(raw []byte) string {
	for _, c := range raw {
		if c == '\\' {
			var s string
			if err := json.Unmarshal(raw, &s); err != nil {
				panic("dataset: a string that was checked is not valid: " + err.Error())
			}
			return s
		}
	}
	return string(raw[1 : len(raw)-1])
}

// loneSurrogate finds an escape of half a character, "\ud800", in valid JSON; decoders put U+FFFD in its place.
func loneSurrogate(raw []byte) (escape string, found bool) {
	for i := 0; i+6 <= len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		unit, ok := surrogate(raw[i:])
		if !ok {
			i++ // an escaped backslash begins no escape
			continue
		}
		if low, ok := surrogate(raw[i+6:]); unit < 0xdc00 && ok && low >= 0xdc00 {
			i += 11
			continue
		}
		return string(raw[i : i+6]), true
	}
	return "", false
}

// surrogate is the UTF-16 unit at the start of raw where it is half a character.
func surrogate(raw []byte) (unit uint64, ok bool) {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0, false
	}
	unit, err := strconv.ParseUint(string(raw[2:6]), 16, 32)
	return unit, err == nil && unit >= 0xd800 && unit < 0xe000
}

// members calls visit for the names and values of a valid JSON object, in order.
func members(object []byte, visit func(name, value []byte) error) error {
	i := 1
	skip := func() {
		for i < len(object) && strings.IndexByte(" \t\r\n,:", object[i]) >= 0 {
			i++
		}
	}
	value := func() []byte {
		from, depth := i, 0
		for ; i < len(object); i++ {
			switch c := object[i]; c {
			case '"':
				for i++; object[i] != '"'; i++ {
					if object[i] == '\\' {
						i++
					}
				}
			case '{', '[':
				depth++
			case '}', ']':
				if depth == 0 {
					return object[from:i]
				}
				depth--
			case ',', ':', ' ', '\t', '\r', '\n':
				if depth == 0 {
					return object[from:i]
				}
			}
		}
		return object[from:i]
	}
	for {
		if skip(); i >= len(object) || object[i] == '}' {
			return nil
		}
		name := value()
		skip()
		if err := visit(name, value()); err != nil {
			return err
		}
	}
}
