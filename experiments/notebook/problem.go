package notebook

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"triality/experiments/graph"
)

// Problem is a mistake in a notebook; everything else of it can be used.
type Problem struct {
	Line int    `json:"line"`           // of the file, from 1
	Cell string `json:"cell,omitempty"` // the cell's id, or its place ("cell 3") where it has none; empty: the front matter
	Text string `json:"text"`
}

// String is the problem as a line without the file's name.
func (p Problem) String() string { return fmt.Sprintf("line %d: %s%s", p.Line, p.where(), p.Text) }

func (p Problem) where() string {
	if p.Cell == "" {
		return ""
	}
	return p.Cell + ": "
}

// idForm is what a step's name may be.
var idForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// checkInfo refuses what an info string cannot hold.
func checkInfo(kind, id string) error {
	switch {
	case !idForm.MatchString(kind):
		return fmt.Errorf("%q is no kind", kind)
	case !idForm.MatchString(id):
		return fmt.Errorf("%q is no name of a cell: letters, digits, - and _, at most 64", id)
	}
	return nil
}

// Problems are the mistakes of the frame: front matter and fences without an end, info strings, names. What the bodies
// get wrong is found by Graph.
func (d *Document) Problems() []Problem {
	if d.tooLarge() {
		return []Problem{{Line: 1, Text: fmt.Sprintf("a notebook has at most %d bytes", graph.MaxFile)}}
	}
	var out []Problem
	if len(d.Blocks) > 0 && d.Blocks[0].Type == Prose && bare(firstLine(d.Blocks[0].Text)) == "---" {
		out = append(out, Problem{Line: 1, Text: `the front matter has no end: a line "---"`})
	}
	seen := map[string]int{}
	for i, b := range d.Cells() {
		c := b.Cell
		p := func(line int, format string, args ...any) {
			name := c.ID
			if name == "" {
				name = fmt.Sprintf("cell %d", i+1)
			}
			out = append(out, Problem{Line: line, Cell: name, Text: fmt.Sprintf(format, args...)})
		}
		for _, text := range c.infoProblems() {
			p(b.Line, "%s", text)
		}
		if first, ok := seen[c.ID]; ok && c.ID != "" {
			p(b.Line, "line %d has a cell of this name", first)
		} else {
			seen[c.ID] = b.Line
		}
		if c.closes == "" {
			f, _ := opening(c.opens)
			p(b.Line, "the fence has no end: a line %s", strings.Repeat(string(f.char), f.length))
		}
	}
	slices.SortStableFunc(out, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return out
}

func (c Cell) infoProblems() []string {
	const want = `; write "triality KIND id=NAME"`
	var out []string
	ids := 0
	for i, word := range strings.Fields(c.info)[1:] {
		id, named := strings.CutPrefix(word, "id=")
		switch {
		case named:
			if ids++; ids > 1 {
				out = append(out, "the cell has two names"+want)
			} else if !idForm.MatchString(id) {
				out = append(out, fmt.Sprintf("%q is no name: letters, digits, - and _, at most 64", id))
			}
		case i > 0:
			out = append(out, fmt.Sprintf("%q is not understood", word)+want)
		case !idForm.MatchString(word):
			out = append(out, fmt.Sprintf("%q is no kind", word)+want)
		}
	}
	if c.Kind == "" {
		out = append(out, "the cell has no kind"+want)
	}
	if ids == 0 {
		out = append(out, "the cell has no name"+want)
	}
	return out
}

func (d *Document) tooLarge() bool {
	n := 0
	for _, b := range d.Blocks {
		n += len(b.Text)
	}
	return n > graph.MaxFile
}
