// Package notebook reads and edits experiments that are written as a text: a Markdown file whose fenced cells are the
// steps of a graph.
//
// A cell is a fenced code block whose info string is "triality KIND id=NAME" and whose content is the step's body in
// YAML; it stands at the left margin, not in a list or a quotation. Everything else is prose, and a block "---" at the
// very start is front matter. The package keeps every byte that it does not change.
package notebook

import (
	"slices"
	"strings"
)

// Document is a notebook's text in blocks. The texts of its blocks, one after the other, are the file.
type Document struct {
	File   string // its name, as errors give it
	Blocks []Block
}

// Block is a piece of a document: front matter, prose, or a cell.
type Block struct {
	Text string // every byte, the end of its last line included
	Line int    // of the file where it begins, from 1
	Type BlockType
	Cell Cell // of a block of type CellBlock
}

// BlockType says what a block is.
type BlockType int

const (
	Prose BlockType = iota
	FrontMatter
	CellBlock
)

// Cell is a step of the notebook's graph.
type Cell struct {
	Kind string // first word after "triality"
	ID   string // the step's name; empty where the info string has none
	Body string // YAML, the lines between the fences

	info   string // the info string
	opens  string // the line of the opening fence with its end
	closes string // the line of the closing fence with its end; empty where the file ends before it
}

// String is the file.
func (d *Document) String() string {
	var out strings.Builder
	for _, b := range d.Blocks {
		out.WriteString(b.Text)
	}
	return out.String()
}

// Parse splits a text. Nothing is refused: what is wrong with it is in Problems.
func Parse(file, text string) *Document {
	d := &Document{File: file}
	line := 1
	add := func(t BlockType, text string, cell Cell) {
		if text == "" {
			return
		}
		d.Blocks = append(d.Blocks, Block{Text: text, Line: line, Type: t, Cell: cell})
		line += strings.Count(text, "\n")
	}
	if n := frontMatter(text); n > 0 {
		add(FrontMatter, text[:n], Cell{})
		text = text[n:]
	}
	prose := 0 // bytes at the start of text that are prose so far
	for rest := text; rest != ""; {
		first := firstLine(rest)
		f, ok := opening(first)
		if !ok {
			prose += len(first)
			rest = rest[len(first):]
			continue
		}
		body, closes := f.content(rest[len(first):])
		whole := len(first) + len(body) + len(closes)
		if words := strings.Fields(f.info); len(words) == 0 || words[0] != marker {
			prose += whole
			rest = rest[whole:]
			continue
		}
		add(Prose, text[:prose], Cell{})
		add(CellBlock, rest[:whole], newCell(f.info, first, body, closes))
		text = rest[whole:]
		rest, prose = text, 0
	}
	add(Prose, text, Cell{})
	return d
}

// marker is the first word of a cell's info string.
const marker = "triality"

func newCell(info, opens, body, closes string) Cell {
	c := Cell{Body: body, info: info, opens: opens, closes: closes}
	for i, word := range strings.Fields(info)[1:] {
		if id, ok := strings.CutPrefix(word, "id="); ok {
			if c.ID == "" {
				c.ID = id
			}
		} else if i == 0 {
			c.Kind = word
		}
	}
	return c
}

// Cells are the blocks that are cells, in the order of the text.
func (d *Document) Cells() []Block {
	return slices.DeleteFunc(slices.Clone(d.Blocks), func(b Block) bool { return b.Type != CellBlock })
}

// frontMatter gives the length of the block "---" at the start of a text, 0 where there is none.
func frontMatter(text string) int {
	first := firstLine(text)
	if bare(first) != "---" || first == bare(first) {
		return 0
	}
	for n := len(first); n < len(text); {
		l := firstLine(text[n:])
		n += len(l)
		if b := bare(l); b == "---" || b == "..." {
			return n
		}
	}
	return 0
}

// firstLine is a text up to and with its first line end.
func firstLine(text string) string {
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		return text[:i+1]
	}
	return text
}

// bare is a line without its end and what is blank before it.
func bare(line string) string { return strings.TrimRight(line, " \t\r\n") }
