package config

import (
	"reflect"
	"regexp"
	"strings"
)

// Keys lists every key of the configuration, dotted, in the order of the struct.
func Keys() []string {
	var keys []string
	walk(reflect.TypeFor[Pipeline](), "", func(key string, _ reflect.StructField) { keys = append(keys, key) })
	return keys
}

func walk(t reflect.Type, prefix string, visit func(key string, f reflect.StructField)) {
	for i := range t.NumField() {
		f := t.Field(i)
		key := join(prefix, f.Tag.Get("yaml"))
		visit(key, f)
		switch {
		case f.Type.Kind() == reflect.Struct:
			walk(f.Type, key, visit)
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			walk(f.Type.Elem(), key+"[]", visit)
		}
	}
}

// suggest names the known key nearest to an unknown one: one of the same section when it is spelled
// alike, else the keys of other sections that end the same (a right key in the wrong section is the
// commonest mistake), else the one whose last part is most alike.
func suggest(unknown string) string {
	section, last := split(listIndex.ReplaceAllString(unknown, "[]"))
	var near, elsewhere []string
	nearCost, otherCost := 1+len(last)/3, 1<<30
	for _, k := range Keys() {
		s, l := split(k)
		cost := distance(last, l)
		if s == section && cost <= nearCost {
			near, nearCost = []string{k}, cost
		}
		if cost < otherCost {
			elsewhere, otherCost = nil, cost
		}
		if cost == otherCost {
			elsewhere = append(elsewhere, k)
		}
	}
	if len(near) > 0 {
		elsewhere = near
	}
	return "; the nearest known key is " + strings.Join(elsewhere, " or ")
}

var listIndex = regexp.MustCompile(`\[\d+\]`)

func split(key string) (section, last string) {
	i := strings.LastIndex(key, ".")
	return key[:max(i, 0)], key[i+1:]
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost = 1 + min(diagonal, row[j], row[j-1])
			}
			diagonal, row[j] = row[j], cost
		}
	}
	return row[len(b)]
}
