package config

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// span is what a number's range tag says: "1..65536", ">0..100" without its lower bound, "0..<1" without its
// upper one. Each number has one: a value past what a counter or a machine holds is a mistake, and not every
// reader of it would fail as clearly.
type span struct {
	key               string
	low, high         float64
	aboveLow, subHigh bool // the bound itself is out
}

// ranges are those of all numbers, in the order of the struct.
var ranges = sync.OnceValue(func() []span {
	var all []span
	walk(reflect.TypeFor[Pipeline](), "", func(key string, f reflect.StructField) {
		// A number of a list's items has its range for the page alone; who checks the items holds them to it.
		if tag, ok := f.Tag.Lookup("range"); ok && !strings.Contains(key, "[]") {
			s, err := parseSpan(tag)
			if err != nil {
				panic(fmt.Sprintf("configuration key %s: %v", key, err)) // a tag is the program's, and a test reads each
			}
			s.key = key
			all = append(all, s)
		}
	})
	return all
})

func parseSpan(tag string) (s span, err error) {
	low, high, ok := strings.Cut(tag, "..")
	if !ok {
		return s, fmt.Errorf("range %q: want low..high", tag)
	}
	low, s.aboveLow = strings.CutPrefix(low, ">")
	high, s.subHigh = strings.CutPrefix(high, "<")
	if s.low, err = strconv.ParseFloat(low, 64); err != nil {
		return s, err
	}
	s.high, err = strconv.ParseFloat(high, 64)
	return s, err
}

func (s span) holds(v float64) bool {
	return !math.IsNaN(v) && v >= s.low && v <= s.high && !(s.aboveLow && v == s.low) && !(s.subHigh && v == s.high)
}

// String is "be at least 1 and at most 65536".
func (s span) String() string {
	low, high := "be at least", "at most"
	if s.aboveLow {
		low = "be over"
	}
	if s.subHigh {
		high = "below"
	}
	text := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	return fmt.Sprintf("%s %s and %s %s", low, text(s.low), high, text(s.high))
}

func number(v reflect.Value) float64 {
	if v.CanInt() {
		return float64(v.Int())
	}
	return v.Float()
}
