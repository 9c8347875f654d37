package notebook

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"triality/experiments/graph"
)

// Difference is what is other in a notebook than in another.
type Difference struct {
	Added   []string     `json:"added,omitempty"`   // cells that the other has not
	Removed []string     `json:"removed,omitempty"` // cells that the other alone has
	Changed []CellChange `json:"changed,omitempty"`
	// Settings are those of the front matter; its title is prose.
	Settings []KeyChange `json:"settings,omitempty"`
	Prose    bool        `json:"prose"` // what is no cell's differs, or the order
	// Stale are the cells of both whose results are no longer those of the other's: those that were changed, and those that
	// need one that was changed or added, however far.
	Stale []string `json:"stale,omitempty"`
}

// CellChange is a cell whose kind or values are others.
type CellChange struct {
	ID   string      `json:"id"`
	Kind *KeyChange  `json:"kind,omitempty"`
	Keys []KeyChange `json:"keys,omitempty"`
}

// KeyChange is a key whose value is another; of a text that is no YAML the key is empty and the values are the text.
type KeyChange struct {
	Key string `json:"key"`
	Was string `json:"was"` // in one line; empty: it was not there
	Is  string `json:"is"`
}

// resultSettings are the settings that every cell's result may depend on.
var resultSettings = []string{"seed", "device"}

// Differ says how a notebook differs from another, which was before it.
func Differ(before, after *Document, kinds []graph.Kind) Difference {
	d := Difference{Prose: before.prose() != after.prose()}
	was, is := before.byID(), after.byID()
	changed := map[string]bool{}
	for _, b := range after.Cells() {
		id := b.Cell.ID
		old, ok := was[id]
		if !ok {
			d.Added = append(d.Added, id)
			changed[id] = true
			continue
		}
		c := CellChange{ID: id, Keys: keyChanges(old.Body, b.Cell.Body)}
		if old.Kind != b.Cell.Kind {
			c.Kind = &KeyChange{"kind", old.Kind, b.Cell.Kind}
		}
		if c.Kind != nil || len(c.Keys) > 0 {
			d.Changed = append(d.Changed, c)
			changed[id] = true
		}
	}
	for _, b := range before.Cells() {
		if _, ok := is[b.Cell.ID]; !ok {
			d.Removed = append(d.Removed, b.Cell.ID)
		}
	}
	now, then := after.values(), before.values()
	for _, key := range slices.Sorted(maps.Keys(union(now, then))) {
		if now[key] != then[key] {
			d.Settings = append(d.Settings, KeyChange{key, line(then[key]), line(now[key])})
		}
	}
	all := slices.ContainsFunc(d.Settings, func(c KeyChange) bool { return slices.Contains(resultSettings, c.Key) })
	needs := after.needs(kinds)
	var hit func(id string, seen map[string]bool) bool
	hit = func(id string, seen map[string]bool) bool {
		if changed[id] {
			return true
		}
		if seen[id] {
			return false
		}
		seen[id] = true
		return slices.ContainsFunc(needs[id], func(n string) bool { return hit(n, seen) })
	}
	for _, b := range after.Cells() {
		if _, both := was[b.Cell.ID]; both && (all || hit(b.Cell.ID, map[string]bool{})) {
			d.Stale = append(d.Stale, b.Cell.ID)
		}
	}
	return d
}

func (d *Document) byID() map[string]Cell {
	out := map[string]Cell{}
	for _, b := range d.Cells() {
		out[b.Cell.ID] = b.Cell
	}
	return out
}

// prose is everything that is no cell's, with the places of the cells.
func (d *Document) prose() string {
	out := "title: " + d.Title() + "\n"
	for _, b := range d.Blocks {
		switch b.Type {
		case Prose:
			out += b.Text
		case CellBlock:
			out += "\x00" + b.Cell.ID + "\x00"
		}
	}
	return out
}

// needs are the cells that each one refers to. One that cannot be read needs none.
func (d *Document) needs(kinds []graph.Kind) map[string][]string {
	out, constants := map[string][]string{}, d.constants(kinds)
	for _, b := range d.Cells() {
		if step, err := graph.ParseStep(d.File, b.Line, b.Cell.ID, b.Cell.Kind, []byte(b.Cell.Body), 0, kinds, constants); err == nil {
			out[b.Cell.ID] = step.Needs()
		}
	}
	return out
}

// keyChanges are the keys of two bodies whose values differ, by their names.
func keyChanges(before, after string) []KeyChange {
	if sameValues(before, after) {
		return nil
	}
	var was, is yaml.Node
	if yaml.Unmarshal([]byte(before), &was) != nil || yaml.Unmarshal([]byte(after), &is) != nil {
		return []KeyChange{{Was: before, Is: after}}
	}
	then, now := map[string]string{}, map[string]string{}
	flatten(&was, "", then)
	flatten(&is, "", now)
	var out []KeyChange
	for key := range union(now, then) {
		if now[key] != then[key] {
			out = append(out, KeyChange{key, then[key], now[key]})
		}
	}
	slices.SortFunc(out, func(a, b KeyChange) int { return cmp.Compare(a.Key, b.Key) })
	return out
}

// flatten gives the values of a tree by their dotted keys; a list is one value.
func flatten(n *yaml.Node, key string, out map[string]string) {
	switch {
	case n.Kind == yaml.DocumentNode:
		for _, c := range n.Content {
			flatten(c, key, out)
		}
	case n.Kind == yaml.AliasNode:
		flatten(n.Alias, key, out)
	case n.Kind == yaml.MappingNode && len(n.Content) > 0:
		for name, value := range pairs(n) {
			at := name.Value
			if key != "" {
				at = key + "." + at
			}
			flatten(value, at, out)
		}
	default:
		var v any
		if n.Decode(&v) != nil {
			out[key] = n.Value
		} else {
			out[key] = oneLine(v)
		}
	}
}

// oneLine is a value in one line, numbers as they are meant.
func oneLine(v any) string {
	if s, ok := v.(string); ok {
		return line(s)
	}
	n := &yaml.Node{}
	if n.Encode(v) != nil {
		return fmt.Sprint(v)
	}
	n.Style |= yaml.FlowStyle
	text, err := yaml.Marshal(n)
	if err != nil {
		return fmt.Sprint(v)
	}
	return line(string(text))
}

func union(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

// line is a text in one line.
func line(text string) string { return strings.Join(strings.Fields(text), " ") }
