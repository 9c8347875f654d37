package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestEveryNumberHasARangeThatItsDefaultKeeps(t *testing.T) {
	withRange := map[string]span{}
	for _, r := range ranges() {
		withRange[r.key] = r
	}
	defaults := Default()
	walk(reflect.TypeFor[Pipeline](), "", func(key string, f reflect.StructField) {
		switch f.Type {
		case reflect.TypeFor[int](), reflect.TypeFor[float64]():
		default:
			return
		}
		if strings.Contains(key, "[]") {
			if _, err := parseSpan(f.Tag.Get("range")); err != nil {
				t.Errorf("%s: %v", key, err)
			}
			return
		}
		r, ok := withRange[key]
		if !ok {
			t.Errorf("%s has no range tag", key)
			return
		}
		if v := number(defaults.value(key)); !r.holds(v) && !strings.HasPrefix(key, "model.create.") {
			t.Errorf("%s: the default %v is out of its own range: must %s", key, v, r)
		}
	})
}

func TestANumberOutOfItsRangeIsRefusedByName(t *testing.T) {
	const base = "data: {input_path: rows.jsonl}\nmodel: {base_model: base}\ntest: {generate: {max_new_tokens: 4}}\n"
	for _, r := range ranges() {
		for _, v := range []string{"1000000000", "-1", "1e300", ".nan", ".inf"} {
			_, err := Parse("x.yaml", []byte(base), r.key+"="+v)
			if err == nil || !strings.Contains(err.Error(), r.key) {
				t.Errorf("%s=%s: %v", r.key, v, err)
			}
		}
	}
}

func TestARangeSaysItsBounds(t *testing.T) {
	for tag, want := range map[string]string{"1..65536": "be at least 1 and at most 65536", ">0..100": "be over 0 and at most 100", "0..<1": "be at least 0 and below 1"} {
		s, err := parseSpan(tag)
		if err != nil || s.String() != want {
			t.Errorf("%s: %q, %v", tag, s, err)
		}
		for v, holds := range map[float64]bool{s.low: !s.aboveLow, s.high: !s.subHigh, (s.low + s.high) / 2: true, s.low - 1: false, s.high + 1: false} {
			if s.holds(v) != holds {
				t.Errorf("%s holds %v: %t", tag, v, !holds)
			}
		}
	}
	for _, tag := range []string{"1", "a..b", "1..b", ""} {
		if s, err := parseSpan(tag); err == nil {
			t.Errorf("%q was read as %s", tag, fmt.Sprint(s))
		}
	}
}
