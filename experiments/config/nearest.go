package config

import (
	"reflect"
	"regexp"
	"strings"
)

// Keys lists every key of the configuration, dotted, in the order of the struct.
func Keys() []string { return keysOf(reflect.TypeFor[Pipeline]()) }

func keysOf(t reflect.Type) []string {
	var keys []string
	walk(t, "", func(key string, _ reflect.StructField) { keys = append(keys, key) })
	return keys
}

func walk(t reflect.Type, prefix string, visit func(key string, f reflect.StructField)) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Tag.Get("yaml") == "-" || !f.IsExported() {
			continue
		}
		key := join(prefix, f.Tag.Get("yaml"))
		visit(key, f)
		switch {
		case nested(f.Type):
			walk(f.Type, key, visit)
		case f.Type.Kind() == reflect.Slice && nested(f.Type.Elem()):
			walk(f.Type.Elem(), key+"[]", visit)
		}
	}
}

// suggest names the one of the known keys that is nearest to an unknown one: one of the same section when it is spelled
// alike, unless other sections have the very word (a right key in the wrong section is the commonest
// mistake); else those of other sections whose last part is most alike.
func suggest(unknown string, known []string) string {
	section, last := split(listIndex.ReplaceAllString(unknown, "[]"))
	var near, elsewhere []string
	nearCost, otherCost := 1+len(last)/3, 1<<30
	for _, k := range known {
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
	if len(near) > 0 && (otherCost > 0 || nearCost <= 1) {
		elsewhere = near
	}
	return "; the nearest known key is " + strings.Join(elsewhere, " or ")
}

var listIndex = regexp.MustCompile(`\[\d+\]`)

func split(key string) (section, last string) {
	i := strings.LastIndex(key, ".")
	return key[:max(i, 0)], key[i+1:]
}

// Nearest is the known word that is spelled most alike, where one is alike enough to be meant.
func Nearest(word string, known []string) (string, bool) {
	best, least := "", max(1, len(word)/3)
	for _, k := range known {
		if d := distance(word, k); d <= least && (best == "" || d < least) {
			best, least = k, d
		}
	}
	return best, best != ""
}

// distance counts the letters to insert, drop, change or swap with the next (optimal string alignment).
func distance(a, b string) int {
	before, row := []int(nil), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			change := row[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			next[j] = min(change, row[j]+1, next[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
