package notebook

import (
	"regexp"
	"strconv"
	"strings"

	"triality/experiments/graph"
)

// Check gives every mistake of a notebook by its line: those of Problems, those of the front matter and of each cell's
// body, and references that lead nowhere.
func (d *Document) Check(kinds []graph.Kind) []Problem {
	_, problems := d.Sound(kinds)
	return problems
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
