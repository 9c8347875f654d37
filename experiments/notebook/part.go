package notebook

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"triality/experiments/graph"
)

// Sound are the names of the cells that can be planned: those without a mistake of which no cell that they need has one,
// and every mistake, as Check gives them.
func (d *Document) Sound(kinds []graph.Kind) (names []string, problems []Problem) {
	problems, place := d.Problems(), d.places()
	if d.tooLarge() {
		return nil, problems
	}
	if _, err := d.settings(); err != nil {
		return nil, append(problems, place.problems(err, "", 1)...)
	}
	left := &Document{File: d.File, Blocks: slices.Clone(d.Blocks)}
	needs := map[string][]string{} // by cell
	known := d.constants(kinds)
	wrong := map[string]bool{}
	for _, p := range problems {
		wrong[p.Cell] = true
	}
	for _, b := range d.Cells() {
		if b.Cell.ID == "" || b.Cell.Kind == "" {
			continue // Problems has it
		}
		step, err := graph.ParseStep(d.File, b.Line, b.Cell.ID, b.Cell.Kind, []byte(b.Cell.Body), 0, kinds, known)
		if err != nil {
			problems = append(problems, place.problems(err, b.Cell.ID, b.Line)...)
			wrong[b.Cell.ID] = true
		}
		needs[b.Cell.ID] = step.Needs()
	}
	if wrong[""] {
		return nil, problems
	}
	// A reference that leads nowhere is found one at a time: what is wrong goes, with all that needs it, and the rest is tried.
	for range maxTries {
		left.leave(wrong, needs)
		if len(problems) > 0 && len(left.Cells()) == 0 {
			break
		}
		_, err := left.Graph(kinds)
		if err == nil {
			for _, b := range left.Cells() {
				names = append(names, b.Cell.ID)
			}
			break
		}
		before := len(wrong)
		for _, p := range d.Locate(err) {
			problems = append(problems, p)
			wrong[p.Cell] = true
		}
		if wrong[""] || len(wrong) == before {
			break // it is of no cell
		}
	}
	slices.SortStableFunc(problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return names, problems
}

// maxTries bounds how many wrong references are told at once.
const maxTries = 10

// Locate finds the lines and cells that an error of the notebook's graph, or of its plan, is about; one of no line is of
// line 1 and of no cell.
func (d *Document) Locate(err error) []Problem {
	out := d.places().problems(err, "", 1)
	for i, p := range out {
		out[i].Cell = d.cellAt(p.Line)
		out[i].Text = strings.TrimPrefix(p.Text, out[i].Cell+": ")
	}
	return out
}

// Without are those of the named cells that do not need one that is wrong.
func (d *Document) Without(kinds []graph.Kind, names []string, wrong map[string]bool) []string {
	needs, known := map[string][]string{}, d.constants(kinds)
	left := &Document{File: d.File}
	for _, b := range d.Cells() {
		if slices.Contains(names, b.Cell.ID) {
			left.Blocks = append(left.Blocks, b)
			if step, err := graph.ParseStep(d.File, b.Line, b.Cell.ID, b.Cell.Kind, []byte(b.Cell.Body), 0, kinds, known); err == nil {
				needs[b.Cell.ID] = step.Needs()
			}
		}
	}
	left.leave(wrong, needs)
	var out []string
	for _, b := range left.Cells() {
		out = append(out, b.Cell.ID)
	}
	return out
}

// constants are those of the cells. A cell that has a mistake stands there with its kind's defaults: what needs it has none
// for that.
func (d *Document) constants(kinds []graph.Kind) graph.Constants {
	out := graph.Constants{}
	for _, b := range d.Cells() {
		k := slices.IndexFunc(kinds, func(k graph.Kind) bool { return k.Name == b.Cell.Kind && k.Constants != nil })
		if k < 0 || b.Cell.ID == "" {
			continue
		}
		step, err := graph.ParseStep(d.File, b.Line, b.Cell.ID, b.Cell.Kind, []byte(b.Cell.Body), 0, kinds, nil)
		if err != nil {
			step.Body = kinds[k].Body()
		}
		if out.Add(step, kinds) != nil { // a value that is no YAML, which no YAML is read to
			delete(out, b.Cell.ID)
		}
	}
	return out
}

// leave takes out the cells that are wrong and those that need them.
func (d *Document) leave(wrong map[string]bool, needs map[string][]string) {
	out := map[string]bool{}
	for _, b := range d.Cells() {
		if wrong[b.Cell.ID] || b.Cell.ID == "" || b.Cell.Kind == "" {
			out[b.Cell.ID] = true
		}
	}
	after := map[string][]string{}
	for id, names := range needs {
		for _, n := range names {
			after[n] = append(after[n], id)
		}
	}
	for next := slices.Collect(maps.Keys(out)); len(next) > 0; next = next[1:] {
		for _, id := range after[next[0]] {
			if !out[id] {
				out[id] = true
				next = append(next, id)
			}
		}
	}
	d.Blocks = slices.DeleteFunc(d.Blocks, func(b Block) bool { return b.Type == CellBlock && out[b.Cell.ID] })
}

// Part is the notebook with the named cells and those that they need, however far, in place of all. It wants a notebook
// whose cells are sound.
func (d *Document) Part(kinds []graph.Kind, names ...string) (*Document, error) {
	g, err := d.Graph(kinds)
	if err != nil {
		return nil, err
	}
	needs := map[string][]string{}
	for _, s := range g.Steps {
		needs[s.Name] = s.Needs()
	}
	keep := map[string]bool{}
	for next := slices.Clone(names); len(next) > 0; next = next[1:] {
		if _, err := d.find(next[0]); err != nil {
			return nil, err
		}
		if !keep[next[0]] {
			keep[next[0]] = true
			next = append(next, needs[next[0]]...)
		}
	}
	out := &Document{File: d.File}
	for _, b := range d.Blocks {
		if b.Type != CellBlock || keep[b.Cell.ID] {
			out.Blocks = append(out.Blocks, b)
		}
	}
	return Parse(d.File, out.String()), nil
}

// Blank is the text with blank lines in place of the cells that are not named, so that lines are those of the file.
func (d *Document) Blank(names []string) string {
	var out strings.Builder
	for _, b := range d.Blocks {
		if b.Type == CellBlock && !slices.Contains(names, b.Cell.ID) {
			out.WriteString(strings.Repeat("\n", strings.Count(b.Text, "\n")))
			continue
		}
		out.WriteString(b.Text)
	}
	return out.String()
}
