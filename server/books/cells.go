package books

import (
	"errors"

	"triality/experiments"
	"triality/experiments/notebook"
)

// CellText is a cell as its notebook's file has it.
type CellText struct {
	ID   string `json:"id"`
	Kind string `json:"kind"`
	Line int    `json:"line"` // of its fence
	Body string `json:"body"` // YAML
}

// CellTexts are the cells of a notebook's text of one revision.
type CellTexts struct {
	Name     string     `json:"name"`
	Title    string     `json:"title,omitempty"`
	Revision string     `json:"revision"`
	Cells    []CellText `json:"cells"`
}

// Cells gives a notebook's cells in their order.
func (f *Folder) Cells(name string) (CellTexts, error) {
	book, err := f.Read(name)
	if err != nil {
		return CellTexts{}, err
	}
	d := notebook.Parse(name, book.Text)
	out := CellTexts{Name: name, Title: d.Title(), Revision: book.Revision, Cells: []CellText{}}
	for _, b := range d.Cells() {
		out.Cells = append(out.Cells, CellText{b.Cell.ID, b.Cell.Kind, b.Line, b.Cell.Body})
	}
	return out, nil
}

// WriteCell gives one cell of a notebook of the revision was another body; nothing outside the cell changes. Where there is no
// such cell and kind is not empty, a new one is put after the cell named after, or at the end.
func (f *Folder) WriteCell(name string, c CellText, after, was, by string) (Book, error) {
	book, err := f.Read(name)
	switch {
	case err != nil:
		return Book{}, err
	case book.Revision != was:
		return Book{}, changed(book, "notebook %s was changed meanwhile, by another window, an editor or git", name)
	}
	d := notebook.Parse(name, book.Text)
	err = d.SetBody(c.ID, c.Body)
	if errors.Is(err, notebook.ErrNoCell) && c.Kind != "" {
		at := len(d.Blocks)
		for i, b := range d.Blocks {
			if after != "" && b.Type == notebook.CellBlock && b.Cell.ID == after {
				at = i + 1
			}
		}
		if after != "" && at == len(d.Blocks) && (at == 0 || d.Blocks[at-1].Cell.ID != after) {
			return Book{}, experiments.Errorf(experiments.CodeNotFound, "notebook %s: cell %s: %w", name, after, notebook.ErrNoCell)
		}
		err = d.Insert(at, c.Kind, c.ID, c.Body)
	}
	switch {
	case errors.Is(err, notebook.ErrNoCell):
		return Book{}, experiments.Errorf(experiments.CodeNotFound, "notebook %s: %w; give a kind to make it", name, err)
	case err != nil:
		return Book{}, experiments.Errorf(experiments.CodeInvalid, "notebook %s: %w", name, err)
	}
	return f.WriteBy(name, d.String(), was, by)
}
