package tablefile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/parquet-go/parquet-go"
)

const maxFooter = 64 << 20 // bytes of a Parquet file's description of itself

// parquet reads rows of a Parquet file: of each column shown, the pages that hold them.
func (f file) parquet(ctx context.Context, ask Ask) (Page, error) {
	page := Page{Format: "Parquet", Rows: [][]*string{}}
	if err := f.checkFooter(); err != nil {
		return page, err
	}
	r, err := parquet.OpenFile(f, f.size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return page, err
	}
	if page.Total, err = countRows(r); err != nil {
		return page, err
	}
	fields := r.Schema().Fields()
	page.shape(len(fields), func(i int) Column { return Column{fields[i].Name(), typeName(fields[i])} })
	fields = fields[:len(page.Columns)]
	want := min(int64(ask.Limit), max(0, page.Total-ask.Offset))
	taken, skip := 0, ask.Offset
	for _, group := range r.RowGroups() {
		if n := group.NumRows(); skip >= n {
			skip -= n
			continue
		}
		n := min(want-int64(len(page.Rows)), group.NumRows()-skip)
		if n <= 0 {
			break
		}
		at, first := 0, len(page.Rows)
		page.Rows = append(page.Rows, make([][]*string, n)...)
		for i := range n {
			page.Rows[first+int(i)] = make([]*string, len(fields))
		}
		for j, field := range fields {
			columns := make([][][]parquet.Value, leaves(field))
			for k := range columns {
				if columns[k], err = readColumn(ctx, group.ColumnChunks()[at], skip, int(n)); err != nil {
					return page, fmt.Errorf("column %s: %w", clip(field.Name()), err)
				}
				if there := int64(len(columns[k])); there < n {
					return page, fmt.Errorf("column %s: %w", clip(field.Name()), short(page.Total, ask.Offset+int64(first)+there))
				}
				at++
			}
			row := make([][]parquet.Value, len(columns))
			for i := range int(n) {
				for k := range columns {
					row[k] = columns[k][i]
				}
				if err := page.set(first+i, j, assemble(field, level{}, row), &taken); err != nil {
					return page, err
				}
			}
		}
		skip = 0
	}
	return page, nil
}

// countRows gives the number of rows, in which the file's groups and the file itself must agree.
func countRows(r *parquet.File) (int64, error) {
	var sum int64
	for i, g := range r.RowGroups() {
		n := g.NumRows()
		if n < 0 || sum+n < sum {
			return 0, fmt.Errorf("its row group %d says that it has %d rows", i, n)
		}
		sum += n
	}
	if said := r.NumRows(); said != sum {
		return 0, fmt.Errorf("it says that it has %d rows, and its row groups have %d", said, sum)
	}
	return sum, nil
}

// readColumn reads the values of n rows of a column in a row group, each row's in a list of their own; fewer rows where it ends.
func readColumn(ctx context.Context, chunk parquet.ColumnChunk, from int64, n int) (rows [][]parquet.Value, err error) {
	pages := chunk.Pages()
	defer func() { err = errors.Join(err, pages.Close()) }()
	if from > 0 {
		if err := pages.SeekToRow(from); err != nil {
			return nil, err
		}
	}
	buf := make([]parquet.Value, 256)
	for ctx.Err() == nil {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		for values := page.Values(); ; {
			k, err := values.ReadValues(buf)
			for _, v := range buf[:k] {
				switch {
				case v.RepetitionLevel() > 0 && len(rows) == 0:
					return nil, errors.New("it begins within a row")
				case v.RepetitionLevel() == 0 && len(rows) == n:
					parquet.Release(page)
					return rows, nil
				case v.RepetitionLevel() == 0:
					rows = append(rows, nil)
				}
				last := len(rows) - 1
				rows[last] = append(rows[last], v.Clone())
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || k == 0 {
				return nil, errors.Join(errors.New("a page ends within its values"), err)
			}
		}
		parquet.Release(page)
	}
	return nil, ctx.Err()
}

// leaves counts the columns that hold a node's values.
func leaves(n parquet.Node) int {
	if n.Leaf() {
		return 1
	}
	sum := 0
	for _, f := range n.Fields() {
		sum += leaves(f)
	}
	return sum
}

// typeName is what people call a node's type.
func typeName(n parquet.Node) string {
	name := ""
	switch elem, list := element(n); {
	case n.Leaf():
		name = n.Type().String()
	case list:
		name = "LIST<" + typeName(elem) + ">"
	case isMap(n):
		kv := n.Fields()[0].Fields()
		name = "MAP<" + typeName(kv[0]) + ", " + typeName(kv[1]) + ">"
	default:
		var parts []string
		for _, f := range n.Fields() {
			parts = append(parts, f.Name()+": "+typeName(f))
		}
		name = "STRUCT<" + strings.Join(parts, ", ") + ">"
	}
	if n.Repeated() {
		name = "LIST<" + name + ">"
	}
	return name
}

// checkFooter holds the length of the file's description of itself to what is there and may be read.
func (f file) checkFooter() error {
	if f.size < 12 {
		return errors.New("it is cut: a Parquet file has at least 12 bytes")
	}
	var tail [8]byte
	if _, err := f.ReadAt(tail[:], f.size-8); err != nil {
		return err
	}
	switch string(tail[4:]) {
	case "PAR1":
	case "PARE":
		return errors.New("it is encrypted")
	default:
		return errors.New("it is cut: the mark at the end of a Parquet file is missing")
	}
	if n := int64(le.Uint32(tail[:])); n > f.size-12 || n > maxFooter {
		return fmt.Errorf("its description of itself takes %d bytes: at most %d can be read of this file", n, min(f.size-12, maxFooter))
	}
	return nil
}
