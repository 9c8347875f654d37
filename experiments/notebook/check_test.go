package notebook_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"triality/experiments/graph"
	"triality/experiments/kinds"
	"triality/experiments/notebook"
)

// whole is a notebook without a mistake; its lines are counted below. Where a body is no YAML at all, the line is the one
// that the YAML reader gives, which may be that before.
const whole = `---
title: Ranks
name: ranks
seed: 7
---

# Does rank matter?

` + "```triality convert id=rows" + `
base_model: m
data:
  input_path: rows.jsonl
` + "```" + `

Prose.

` + "```triality finetune id=tune" + `
base_model: m
dataset: ${rows.dataset}
training:
  lora_r: 8
` + "```" + `

` + "```triality abtest id=ab" + `
model_a: m
model_b: ${tune.model}
test_data: ${rows.dataset}
` + "```" + `
`

func TestEachMistakeIsFoundAtItsLine(t *testing.T) {
	if p := notebook.Parse("b.md", whole).Check(kinds.All(nil)); len(p) > 0 {
		t.Fatalf("a notebook without a mistake has %v", p)
	}
	for _, tt := range []struct{ old, new, want string }{
		{"seed: 7\n---\n\n", "seed: 7\n\n", `line 1: the front matter has no end`},
		{"name: ranks", "nam: ranks", `line 3: nam: unknown key; the nearest known key is name`},
		{"seed: 7", "seed: [", `line 4: `},
		{"seed: 7", "seed: seven", `line 4: seed: `},
		{"seed: 7", "devices: 65", `line 4: devices: `},
		{"title: Ranks\nname: ranks\nseed: 7", "- 1\n- 2\n- 3", `line 2: the front matter is no mapping`},
		{"convert id=rows", "convert", `line 9: cell 1: the cell has no name`},
		{"convert id=rows", "id=rows", `line 9: rows: the cell has no kind`},
		{"convert id=rows", "convrt id=rows", `line 9: rows: kind: there is no kind "convrt"; the nearest is convert`},
		{"convert id=rows", "convert id=ro.ws", `line 9: ro.ws: "ro.ws" is no name`},
		{"convert id=rows", "convert id=rows fold", `line 9: rows: "fold" is not understood`},
		{"convert id=rows", "convert id=tune", `line 17: tune: line 9 has a cell of this name`},
		{"convert id=rows", "convert id=row", `line 19: tune: dataset: ${rows.dataset}: there is no step rows`},
		{"  input_path: rows.jsonl", "  input_pth: rows.jsonl", `line 12: rows: data.input_pth: unknown key; the nearest known key is data.input_path`},
		{"  input_path: rows.jsonl", "  input_path: [rows.jsonl, 7", `line 11: rows: `},
		{"  input_path: rows.jsonl", "\tinput_path: rows.jsonl", `line 12: rows: `},
		{"  input_path: rows.jsonl", "  format_type: poem", `line 12: rows: data.format_type: `},
		{"  input_path: rows.jsonl", "  max_length: -1", `line 12: rows: data.max_length: `},
		{"  input_path: rows.jsonl\n", "  input_path: a\n  input_path: b\n", `line 13: rows: `},
		{"data:\n  input_path: rows.jsonl", "just words\nhere: and", `line 11: rows: `},
		{"base_model: m\ndata:", "<<<<<<< ours\nbase_model: m\n=======\ndata:", `line 11: rows: `},
		{"  lora_r: 8", "  lora_r: eight", `line 21: tune: training.lora_r: `},
		{"  lora_r: 8", "  lora_r: 1000000000", `line 21: tune: training.lora_r: `},
		{"  lora_r: 8", "  lora_r: ${ab.result}", `line 21: tune: training.lora_r: `},
		{"  lora_r: 8", "  lora_target_modules: [\"${rows.dataset}\"]", `line 17: tune: training.lora_target_modules[0]: takes no reference`},
		{"dataset: ${rows.dataset}\ntraining", "training", `line 17: tune: dataset: is empty; it takes a data set`},
		{"dataset: ${rows.dataset}\ntraining", "dataset: ${rows.model}\ntraining", `line 19: tune: dataset: ${rows.model}: step rows is of kind convert, which gives dataset`},
		{"dataset: ${rows.dataset}\ntraining", "dataset: x ${rows.dataset}\ntraining", `line 19: tune: dataset: "x ${rows.dataset}" is no reference`},
		{"dataset: ${rows.dataset}\ntraining", "dataset: ${ab.result}\ntraining", `line 19: tune: dataset: ${ab.result} is a A/B result; here it must be a data set`},
		{"base_model: m\ndata:", "base_model: ${tune.model}\ndata:", `line 10: rows: base_model: the steps wait for each other: rows needs tune needs rows`},
		{"test_data: ${rows.dataset}\n```\n", "test_data: ${rows.dataset}\n", `line 24: ab: the fence has no end`},
		{"```\n\nProse.", "\n\nProse.", `line 17: rows: `},
	} {
		text := strings.Replace(whole, tt.old, tt.new, 1)
		if text == whole {
			t.Errorf("%q is not in the notebook", tt.old)
			continue
		}
		d := notebook.Parse("b.md", text)
		var all []string
		for _, p := range d.Check(kinds.All(nil)) {
			all = append(all, p.String())
		}
		if got := strings.Join(all, "\n"); !strings.Contains(got, tt.want) {
			t.Errorf("%q for %q gives\n%s\nwant %s", tt.new, tt.old, got, tt.want)
		}
		if d.String() != text {
			t.Errorf("%q for %q is printed as another text", tt.new, tt.old)
		}
		if _, err := d.Graph(kinds.All(nil)); err == nil {
			t.Errorf("%q for %q is taken for a graph", tt.new, tt.old)
		}
	}
}

func TestANotebookIsTheGraphOfItsYAML(t *testing.T) {
	d := notebook.Parse("b.md", whole)
	g, err := d.Graph(kinds.All(nil))
	if err != nil {
		t.Fatal(err)
	}
	if d.Title() != "Ranks" || g.Settings.Name != "ranks" || g.Settings.Seed != 7 || len(g.Steps) != 3 {
		t.Errorf("title %q, settings %+v, %d steps", d.Title(), g.Settings, len(g.Steps))
	}
	text, err := d.YAML()
	if err != nil {
		t.Fatal(err)
	}
	h, err := graph.Parse("b.yaml", text, kinds.All(nil))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	list := kinds.All(nil)
	if got, want := h.Params(list), g.Params(list); len(got) == 0 || !equal(got, want) {
		t.Errorf("the YAML's parameters are %v, the notebook's %v", got, want)
	}
}

func equal(a, b map[string]string) bool {
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return len(a) == len(b)
}

var toRead = regexp.MustCompile(`(?m)^(label|title): .*\n`)

func TestTheShippedNotebooksHaveNoMistake(t *testing.T) {
	files, err := filepath.Glob("../../configs/notebooks/*.md")
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	bodies := map[string]string{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		d := notebook.Parse(f, string(text))
		if p := d.Check(kinds.All(nil)); len(p) > 0 || !notebook.Is(string(text)) {
			t.Errorf("%s: %v", f, p)
		}
		name, _, _ := strings.Cut(filepath.Base(f), ".")
		for _, b := range d.Cells() { // both languages run the same, but for what is there to be read
			body := toRead.ReplaceAllString(b.Cell.Body, "")
			if other, ok := bodies[name+" "+b.Cell.ID]; ok && b.Cell.Kind != "report" && b.Cell.Kind != "note" && other != body {
				t.Errorf("%s: cell %s differs from the other language's", f, b.Cell.ID)
			}
			bodies[name+" "+b.Cell.ID] = body
		}
	}
}

func ExampleDocument_SetBody() {
	d := notebook.Parse("b.md", "# Ranks\n\n```triality finetune id=tune\ntraining: {lora_r: 8}\n```\n")
	if err := d.SetBody("tune", "training: {lora_r: 16}\n"); err != nil {
		panic(err)
	}
	os.Stdout.WriteString(d.String())
	// Output:
	// # Ranks
	//
	// ```triality finetune id=tune
	// training: {lora_r: 16}
	// ```
}

func TestALargeNotebookIsCheckedInTimeThatGrowsWithItsSize(t *testing.T) {
	const cells = 10_000
	var text strings.Builder
	text.WriteString("```triality convert id=c0\nbase_model: m\ndata: {input_path: a}\n```\n")
	for i := 1; i < cells; i++ {
		fmt.Fprintf(&text, "```triality finetune id=c%d\ndataset: ${c0.dataset}\nx: 1\n```\n", i)
	}
	began := time.Now()
	broken := notebook.Parse("b.md", text.String()).Check(kinds.All(nil))
	if len(broken) != cells-1 || broken[0].Line != 7 {
		t.Errorf("%d mistakes, the first %v", len(broken), broken[0])
	}
	// In reverse, so that each step waits for the one behind it.
	text.Reset()
	for i := range cells {
		fmt.Fprintf(&text, "```triality merge id=c%d\nbase_model: ${c%d.model}\nadapter: a\n```\n", i, i+1)
	}
	fmt.Fprintf(&text, "```triality merge id=c%d\nbase_model: m\nadapter: a\n```\n", cells)
	if p := notebook.Parse("b.md", text.String()).Check(kinds.All(nil)); len(p) > 0 {
		t.Errorf("a long chain: %v", p)
	}
	t.Logf("it took %v; with an order that looks at all steps for each it does not end", time.Since(began))
	if p := notebook.Parse("b.md", text.String()+strings.Repeat("prose\n", 200_000)).Check(kinds.All(nil)); len(p) != 1 || !strings.Contains(p[0].Text, "at most 1048576 bytes") {
		t.Errorf("a notebook that is too large: %v", p)
	}
}
