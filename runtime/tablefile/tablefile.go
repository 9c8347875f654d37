// Package tablefile reads rows of Parquet and Arrow files that anybody may have made. The libraries that read them, parquet-go and
// arrow-go, trust much of what a file says, so a server reads in a process of its own, with Apart.
//
// Formats: https://parquet.apache.org/docs/file-format/ and https://arrow.apache.org/docs/format/Columnar.html.
package tablefile

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// Bounds of an answer.
const (
	MaxRows    = 1000 // of a page
	MaxColumns = 500  // shown; a file may have more
	maxCell    = 2000 // bytes of a value's text
	maxPage    = 16 << 20
)

// Ask says which rows are wanted.
type Ask struct {
	Offset int64 `json:"offset"` // from 0
	Limit  int   `json:"limit"`  // 1 to MaxRows
	// Memory is the most bytes that Apart's process takes beyond what a fresh one has; 0: 1 GiB.
	Memory int64 `json:"memory,omitempty"`
}

// Column is a column of a file.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"` // the format's name of it, such as INT64 or LIST<STRING> in Parquet, int64 or list<item: utf8, nullable> in Arrow
}

// Page is some rows of a file. A value is a text, of a nested value its JSON, of bytes their base64; nil is null. Text longer than 2,000
// bytes ends with an ellipsis.
type Page struct {
	Columns []Column    `json:"columns"`          // the first MaxColumns
	Hidden  int         `json:"hidden,omitempty"` // columns that are not among them
	Rows    [][]*string `json:"rows"`
	Offset  int64       `json:"offset"` // of the first
	Total   int64       `json:"total"`  // rows of the file, by what it says
	Format  string      `json:"format"` // "Parquet" or "Arrow"
}

// file is what is read: its bytes anywhere, and how many there are.
type file struct {
	io.ReaderAt
	size int64
}

// Read reads rows in this process. Its memory is bounded by what pages and batches of the file take, and a hostile file may end
// the process: use Apart for files of others.
func Read(ctx context.Context, r io.ReaderAt, size int64, ask Ask) (page Page, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("its data contradict themselves: %v", p)
		}
	}()
	if ask.Offset < 0 || ask.Limit < 1 || ask.Limit > MaxRows {
		return page, fmt.Errorf("rows from %d, %d of them: want an offset of at least 0 and 1 to %d rows", ask.Offset, ask.Limit, MaxRows)
	}
	f := file{r, size}
	head := make([]byte, min(8, size))
	if _, err := r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return page, err
	}
	switch {
	case bytes.HasPrefix(head, []byte("PAR1")):
		page, err = f.parquet(ctx, ask)
	case bytes.HasPrefix(head, []byte("ARROW1")):
		page, err = f.arrow(ctx, 8, ask)
	case len(head) >= 4 && binary.LittleEndian.Uint32(head) == continuation:
		page, err = f.arrow(ctx, 0, ask)
	case bytes.HasPrefix(head, []byte("FEA1")):
		err = errors.New("it is of the first version of Feather, which is not read; write it again as Arrow or Parquet")
	default:
		err = errors.New("it is neither a Parquet nor an Arrow file: it does not begin as one")
	}
	if err == nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	page.Offset = ask.Offset
	return page, err
}

// shape is the columns, as many as are shown.
func (p *Page) shape(n int, column func(int) Column) {
	p.Columns = []Column{}
	for i := range min(MaxColumns, n) {
		c := column(i)
		p.Columns = append(p.Columns, Column{clip(c.Name), clip(c.Type)})
	}
	p.Hidden = n - len(p.Columns)
}

// set sets a value of a row; how many bytes of text there are is counted in taken.
func (p *Page) set(row, column int, v any, taken *int) error {
	s := text(v)
	if s == nil {
		return nil
	}
	*s = clip(*s)
	if *taken += len(*s); *taken > maxPage {
		return fmt.Errorf("the rows have more than %d MiB of text; ask for fewer", maxPage>>20)
	}
	p.Rows[row][column] = s
	return nil
}

// text is how a value is shown: a text as it is, anything else as JSON; nil where there is none.
func text(v any) *string {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return &v
	}
	b, err := marshal(v)
	s := string(b)
	if err != nil {
		s = fmt.Sprint(v)
	}
	return &s
}

// marshal writes JSON without escapes that only HTML needs.
func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}

// clip cuts a text that is too long to be looked at.
func clip(s string) string {
	if !utf8.ValidString(s) {
		s = string(bytes.ToValidUTF8([]byte(s[:min(len(s), 2*maxCell)]), []byte("\ufffd")))
	}
	if len(s) <= maxCell {
		return s
	}
	at := maxCell
	for !utf8.RuneStart(s[at]) {
		at--
	}
	return s[:at] + "…"
}

// short says that rows which the file counts are not in it.
func short(said, there int64) error {
	return fmt.Errorf("it says that it has %d rows, and ends after %d of them", said, there)
}
