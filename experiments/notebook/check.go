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
	out := d.Problems()
	if _, err := d.settings(); err != nil {
		out = append(out, d.located(err, "", 1)...)
	}
	for _, b := range d.Cells() {
		if b.Cell.ID == "" || b.Cell.Kind == "" {
			continue // Problems has it
		}
		body := strings.Repeat("\n", b.Line) + b.Cell.Body
		if _, err := graph.ParseStep(d.File, 1, b.Cell.ID, b.Cell.Kind, []byte(body), 0, kinds); err != nil {
			out = append(out, d.located(err, b.Cell.ID, b.Line)...)
		}
	}
	if len(out) == 0 {
		if _, err := d.Graph(kinds); err != nil {
			out = d.located(err, "", 1)
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

// located takes an error's lines apart into problems; line and cell are for those that say none.
func (d *Document) located(err error, cell string, line int) (out []Problem) {
	place := regexp.MustCompile(`^(?:step [^:]*: )?` + regexp.QuoteMeta(d.File) + `:(?: line)? ?(\d+): `)
	for text := range strings.Lines(err.Error()) {
		p := Problem{Line: line, Cell: cell, Text: strings.TrimSuffix(text, "\n")}
		if m := place.FindStringSubmatch(p.Text); m != nil {
			p.Text = p.Text[len(m[0]):]
			if n, err := strconv.Atoi(m[1]); err == nil && n > 1 {
				p.Line = n
			}
		}
		for _, b := range d.Cells() { // the cell that the line is in, which the text may begin with
			if b.Line <= p.Line && p.Line < b.Line+strings.Count(b.Text, "\n") {
				p.Cell = b.Cell.ID
				p.Text = strings.TrimPrefix(p.Text, p.Cell+": ")
			}
		}
		out = append(out, p)
	}
	return out
}
