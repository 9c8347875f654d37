package notebook_test

import (
	"slices"
	"strings"
	"testing"

	"triality/experiments/kinds"
	"triality/experiments/notebook"
)

func TestADifferenceIsToldByCellsAndKeys(t *testing.T) {
	for _, c := range []struct {
		name, old, to         string
		changed, keys, stale  string
		added, removed, other string
	}{
		{name: "a value", old: "lora_r: 8", to: "lora_r: 9", changed: "tune", keys: "training.lora_r 8 9", stale: "tune ab"},
		{name: "a key that is new", old: "lora_r: 8", to: "lora_r: 8\n  lora_alpha: 1", changed: "tune", keys: "training.lora_alpha  1", stale: "tune ab"},
		{name: "what only looks different", old: "lora_r: 8", to: "lora_r:   8 # a rank"},
		{name: "a kind", old: "triality convert", to: "triality base", changed: "rows", stale: "rows tune ab"},
		{name: "a cell that is gone", old: "```triality abtest", to: "```text", removed: "ab", other: "prose"},
		{name: "a cell of another name", old: "id=ab", to: "id=ba", added: "ba", removed: "ab", other: "prose"},
		{name: "prose", old: "Prose.", to: "Poetry.", other: "prose"},
		{name: "the seed", old: "seed: 7", to: "seed: 8", other: "seed", stale: "rows tune ab"},
		{name: "the name", old: "name: ranks", to: "name: other", other: "name"},
		{name: "a body that is no YAML", old: "lora_r: 8", to: "lora_r: [8", changed: "tune", stale: "tune ab"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, after := notebook.Parse("b.md", whole), notebook.Parse("b.md", strings.Replace(whole, c.old, c.to, 1))
			d := notebook.Differ(before, after, kinds.All(nil))
			var changed, keys, other []string
			for _, x := range d.Changed {
				changed = append(changed, x.ID)
				for _, k := range x.Keys {
					keys = append(keys, k.Key, k.Was, k.Is)
				}
			}
			if d.Prose {
				other = append(other, "prose")
			}
			for _, k := range d.Settings {
				other = append(other, k.Key)
			}
			for _, pair := range [][2]string{
				{strings.Join(changed, " "), c.changed}, {strings.Join(d.Stale, " "), c.stale}, {strings.Join(d.Added, " "), c.added},
				{strings.Join(d.Removed, " "), c.removed}, {strings.Join(other, " "), c.other},
			} {
				if pair[0] != pair[1] {
					t.Errorf("%q, want %q: %+v", pair[0], pair[1], d)
				}
			}
			if c.keys != "" && strings.Join(keys, " ") != c.keys {
				t.Errorf("%q", keys)
			}
			// From the other side, what was added is removed.
			back := notebook.Differ(after, before, kinds.All(nil))
			if !slices.Equal(back.Added, d.Removed) || !slices.Equal(back.Removed, d.Added) || len(back.Changed) != len(d.Changed) {
				t.Errorf("back: %+v", back)
			}
		})
	}
}
