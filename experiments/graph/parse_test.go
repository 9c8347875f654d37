package graph

import (
	"strings"
	"testing"

	"triality/experiments"
)

func TestAGraphIsReadFromYAML(t *testing.T) {
	g, err := Parse("g.yaml", []byte(`
steps:
  - name: total
    kind: cheap
    body:
      from: ["${part.sum}", there]
      text: "costs ${5} and ${part.sum} is left as it is"
  - {name: part, kind: costly, body: {seed: 7, more: {k: plain}}}
`), (&bench{}).kinds())
	if err != nil {
		t.Fatal(err)
	}
	p, err := g.Make(t.Context(), (&bench{}).kinds(), env(t.TempDir()))
	if err != nil || order(p) != "part total" {
		t.Fatal(order(p), err)
	}
	part, total := p.Steps[0], p.Steps[1].Body.(*body)
	if part.Body.(*body).Seed != 7 || total.Seed != 1 || total.From[0].Key() != part.Key || total.From[0].Path() != part.Output("sum") || total.From[1].Key() != "key of there" {
		t.Errorf("%+v", total)
	}
	if total.Text != "costs ${5} and ${part.sum} is left as it is" {
		t.Errorf("a text was changed: %q", total.Text)
	}
}

func TestErrorsOfAGraphNameStepKeyAndLine(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"an unknown reference", "- {name: a, kind: cheap, body: {\n  from: [\"${nowhere.sum}\"]}}", "g.yaml:3: a: from[0]: ${nowhere.sum}: there is no step nowhere"},
		{"an unknown output", "- {name: b, kind: cheap}\n- {name: a, kind: cheap, body: {\n  from: [\"${b.other}\"]}}", "g.yaml:4: a: from[0]: ${b.other}: step b is of kind cheap, which gives sum, never"},
		{"an output that is not given", "- {name: b, kind: cheap}\n- {name: a, kind: cheap, body: {\n  from: [\"${b.never}\"]}}", "g.yaml:4: a: from[0]: ${b.never}: step b as it is configured gives no never"},
		{"another type", "- {name: b, kind: train}\n- {name: a, kind: cheap, body: {\n  from: [\"${b.model}\"]}}", "g.yaml:4: a: from[0]: ${b.model} is a model; here it must be a table"},
		{"a cycle", "- {name: z, kind: cheap, body: {from: [\"${a.sum}\"]}}\n- {name: a, kind: cheap, body: {\n  from: [\"${b.sum}\"]}}\n- {name: b, kind: cheap, body: {from: [\"${a.sum}\"]}}", "g.yaml:4: a: from[0]: the steps wait for each other: a needs b needs a"},
		{"a step that takes its own output", "- {name: a, kind: cheap, body: {from: [\"${a.sum}\"]}}", "g.yaml:2: a: from[0]: the steps wait for each other: a needs a"},
		{"a reference within a text", "- {name: a, kind: cheap, body: {from: [\"x/${a.sum}\"]}}", "a reference is the whole value"},
		{"a reference where none is taken", "- {name: b, kind: cheap}\n- {name: a, kind: cheap, body: {text: \"${b.sum}\"}}", "g.yaml:3: a: text: takes no reference"},
		{"a reference in a map that takes none", "- {name: b, kind: cheap}\n- {name: a, kind: cheap, body: {more: {k: \"${b.sum}\"}}}", "g.yaml:3: a: more.k: takes no reference"},
		{"an input that is empty", "- {name: a, kind: cheap, body: {from: [\"\"]}}", "g.yaml:2: a: from[0]: is empty; it takes a table"},
		{"a thing that is not there", "- {name: a, kind: cheap, body: {\n  from: [gone]}}", "g.yaml:3: a: from[0]: gone: no such table"},
		{"an unknown kind", "- {name: b, kind: cheap}\n- {name: a, kind: cheep}", "g.yaml:3: a: kind: there is no kind \"cheep\"; the nearest is cheap; there are cheap, costly, train"},
		{"an unknown key of the body", "- name: a\n  kind: cheap\n  body:\n    sede: 3", "step a: g.yaml:5: sede: unknown key; the nearest known key is seed"},
		{"a value of another type", "- name: a\n  kind: cheap\n  body:\n    seed: x", "g.yaml:5: seed: want a whole number"},
		{"an unknown key of the step", "- {name: a, kind: cheap, bdoy: {}}", "g.yaml:2: bdoy: unknown key; the nearest known key is body; there are name, kind, body"},
		{"two of one name", "- {name: a, kind: cheap}\n- {name: a, kind: cheap}", "g.yaml:3: a: there are two steps of this name"},
		{"a name with a dot", "- {name: a.b, kind: cheap}", "is no name of a step"},
		{"no list", "  {}", "steps: want a list of steps"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			kinds := (&bench{}).kinds()
			g, err := Parse("g.yaml", []byte("steps:\n"+tt.text), kinds)
			if err == nil {
				_, err = g.Make(t.Context(), kinds, env(t.TempDir()))
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if code := experiments.CodeOf(err); code != experiments.CodeInvalid && code != experiments.CodeNotFound {
				t.Errorf("code %s", code)
			}
		})
	}
}
