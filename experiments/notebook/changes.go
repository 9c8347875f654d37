package notebook

import (
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Changes says how a notebook differs from what it was: the cells that are new or whose kind or values are others, and the
// settings of the front matter that are others. What only looks different, such as a comment, is no change.
func (d *Document) Changes(before *Document) (cells, settings []string) {
	was := map[string]Cell{}
	for _, b := range before.Cells() {
		was[b.Cell.ID] = b.Cell
	}
	for _, b := range d.Cells() {
		if old, ok := was[b.Cell.ID]; !ok || old.Kind != b.Cell.Kind || !sameValues(old.Body, b.Cell.Body) {
			cells = append(cells, b.Cell.ID)
		}
	}
	now, then := d.values(), before.values()
	for _, m := range []map[string]string{now, then} {
		for key := range m {
			if now[key] != then[key] && !slices.Contains(settings, key) {
				settings = append(settings, key)
			}
		}
	}
	slices.Sort(settings)
	return cells, settings
}

func sameValues(a, b string) bool {
	var x, y any
	if yaml.Unmarshal([]byte(a), &x) != nil || yaml.Unmarshal([]byte(b), &y) != nil {
		return a == b
	}
	return reflect.DeepEqual(x, y)
}

// values are the front matter's settings as texts, without the title.
func (d *Document) values() map[string]string {
	out := map[string]string{}
	n, err := d.settings()
	if err != nil {
		return out
	}
	for key, value := range pairs(n) {
		if key.Value == titleKey {
			continue
		}
		text, err := yaml.Marshal(value)
		if err == nil {
			out[key.Value] = string(text)
		}
	}
	return out
}
