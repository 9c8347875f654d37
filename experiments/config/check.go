package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// check lists what is wrong with a struct's values: ranges (the tag range), choices (the tag choice, or those of
// Choices for the pipeline's own sections), and faults of sections. The tag as gives a field the range and the choice of
// the pipeline key that it names.
func check(v reflect.Value, prefix string) (out []fault) {
	if f, ok := v.Interface().(faulty); ok {
		for _, x := range f.faults() {
			out = append(out, fault{join(prefix, x.key), x.text})
		}
	}
	for i := range v.NumField() {
		f, t := v.Field(i), v.Type().Field(i)
		tag := t.Tag.Get("yaml")
		if tag == "-" || !t.IsExported() {
			continue
		}
		key := join(prefix, tag)
		if s, ok := spanOf(t); ok && !s.holds(number(f)) {
			out = append(out, fault{key, fmt.Sprintf("must %s, is %v", s, f)})
		}
		if values := choiceOf(v.Type(), t); values != nil && !slices.Contains(values, f.String()) {
			out = append(out, fault{key, fmt.Sprintf("want %s, have %q", strings.TrimPrefix(strings.Join(values, ", "), ", "), f)})
		}
		switch {
		case nested(f.Type()):
			out = append(out, check(f, key)...)
		case f.Kind() == reflect.Slice && nested(f.Type().Elem()):
			for j := range f.Len() {
				out = append(out, check(f.Index(j), fmt.Sprintf("%s[%d]", key, j))...)
			}
		}
	}
	return out
}

// nested says whether a type is a section: a struct that is not read as one value.
func nested(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(reflect.TypeFor[yaml.Unmarshaler]())
}

func spanOf(f reflect.StructField) (span, bool) {
	if as := f.Tag.Get("as"); as != "" {
		i := slices.IndexFunc(ranges(), func(s span) bool { return s.key == as })
		if i < 0 {
			return span{}, false
		}
		return ranges()[i], true
	}
	tag, ok := f.Tag.Lookup("range")
	if !ok {
		return span{}, false
	}
	s, err := parseSpan(tag)
	if err != nil {
		panic(fmt.Sprintf("key %s: %v", f.Tag.Get("yaml"), err)) // a tag is the program's, and a test reads each
	}
	return s, true
}

// place is a key of a section.
type place struct {
	section reflect.Type
	key     string
}

// choices are the pipeline's, by the section that has the key.
var choices = sync.OnceValue(func() map[place][]string {
	out := map[place][]string{}
	for _, c := range Choices() {
		t, rest := reflect.TypeFor[Pipeline](), c.Key
		for {
			head, tail, more := strings.Cut(rest, ".")
			if !more {
				out[place{t, head}] = c.Values
				break
			}
			f, _ := fieldByKey(reflect.New(t).Elem(), head)
			t, rest = f.Type(), tail
		}
	}
	return out
})

func choiceOf(section reflect.Type, f reflect.StructField) []string {
	if tag := f.Tag.Get("choice"); tag != "" {
		return strings.Split(tag, ",")
	}
	if as := f.Tag.Get("as"); as != "" {
		if i := slices.IndexFunc(Choices(), func(c Choice) bool { return c.Key == as }); i >= 0 {
			return Choices()[i].Values
		}
		return nil
	}
	return choices()[place{section, f.Tag.Get("yaml")}]
}
