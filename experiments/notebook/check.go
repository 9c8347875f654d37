package notebook

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"triality/experiments/graph"
)

// Check gives every mistake of a notebook by its line: those of Problems, those of the front matter and of each cell's
// body, and, where there are none of these, the first reference that leads nowhere.
func (d *Document) Check(kinds []graph.Kind) []Problem {
	out, place := d.Problems(), d.places()
	if d.tooLarge() {
		return out
	}
	if _, err := d.settings(); err != nil {
		out = append(out, place.problems(err, "", 1)...)
	}
	for _, b := range d.Cells() {
		if b.Cell.ID == "" || b.Cell.Kind == "" {
			continue // Problems has it
		}
		if _, err := graph.ParseStep(d.File, b.Line, b.Cell.ID, b.Cell.Kind, []byte(b.Cell.Body), 0, kinds); err != nil {
			out = append(out, place.problems(err, b.Cell.ID, b.Line)...)
		}
	}
	if len(out) == 0 {
		if _, err := d.Graph(kinds); err != nil {
			for _, p := range place.problems(err, "", 1) {
				p.Cell = d.cellAt(p.Line)
				p.Text = strings.TrimPrefix(p.Text, p.Cell+": ")
				out = append(out, p)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return out
}

// Graph is the notebook's graph, whose references are checked. Set are as graph.Parse has them.
func (d *Document) Graph(kinds []graph.Kind, set ...string) (graph.Graph, error) {
	top, err := d.Tree()
	if err != nil {
		return graph.Graph{File: d.File}, err
	}
	g, err := graph.ParseTree(d.File, top, kinds, set...)
	if err != nil {
		return g, err
	}
	return g, g.Check(kinds)
}

// places finds where a line of an error's text says that it belongs.
type places struct{ form *regexp.Regexp }

func (d *Document) places() places {
	return places{regexp.MustCompile(`^(?:step [^:]*: )?` + regexp.QuoteMeta(d.File) + `:(?: line)? ?(\d+): `)}
}

// problems takes an error's lines apart; line and cell are for those that say none.
func (p places) problems(err error, cell string, line int) (out []Problem) {
	for text := range strings.Lines(err.Error()) {
		at := Problem{Line: line, Cell: cell, Text: strings.TrimSuffix(text, "\n")}
		if m := p.form.FindStringSubmatch(at.Text); m != nil {
			at.Text = at.Text[len(m[0]):]
			if n, err := strconv.Atoi(m[1]); err == nil {
				at.Line = n
			}
		}
		at.Text = strings.TrimPrefix(at.Text, cell+": ")
		out = append(out, at)
	}
	return out
}

// cellAt is the name of the cell that a line is in; empty where it is in none.
func (d *Document) cellAt(line int) string {
	for _, b := range d.Cells() {
		if b.Line <= line && line < b.Line+strings.Count(b.Text, "\n") {
			return b.Cell.ID
		}
	}
	return ""
}
