package notebook

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNoCell is the error of an edit that names a cell which the notebook does not have.
var ErrNoCell = errors.New("there is no such cell")

// SetBody gives a cell another body. No byte outside the cell changes, and of its fences only what the body asks for:
// they grow where it has a line like them, and the closing one is added where it was missing.
func (d *Document) SetBody(id, body string) error {
	i, err := d.find(id)
	if err != nil {
		return err
	}
	return d.rewrite(i, d.Blocks[i].Cell.info, body)
}

// SetInfo gives a cell another kind and name.
func (d *Document) SetInfo(id, kind, name string) error {
	i, err := d.find(id)
	if err != nil {
		return err
	}
	if err := checkInfo(kind, name); err != nil {
		return err
	}
	if name != id {
		if _, err := d.find(name); err == nil {
			return fmt.Errorf("cell %s: there is a cell of this name", name)
		}
	}
	return d.rewrite(i, infoOf(kind, name), d.Blocks[i].Cell.Body)
}

func infoOf(kind, id string) string { return marker + " " + kind + " id=" + id }

// Insert puts a new cell before the block of index at, len(d.Blocks) for the end, with a blank line on either side.
func (d *Document) Insert(at int, kind, id, body string) error {
	if err := checkInfo(kind, id); err != nil {
		return err
	}
	if _, err := d.find(id); err == nil {
		return fmt.Errorf("cell %s: there is a cell of this name", id)
	}
	if at < 0 || at > len(d.Blocks) {
		return fmt.Errorf("cell %s: no place %d among %d blocks", id, at, len(d.Blocks))
	}
	if at == 0 && len(d.Blocks) > 0 && d.Blocks[0].Type == FrontMatter {
		at = 1
	}
	end := d.lineEnd()
	text := cellText("```", infoOf(kind, id), body, end)
	before, after := "", ""
	for _, b := range d.Blocks[:at] {
		before += b.Text
	}
	for _, b := range d.Blocks[at:] {
		after += b.Text
	}
	if before != "" && !strings.HasSuffix(before, "\n") {
		before += end
	}
	if before != "" && !blankEnd(before) {
		text = end + text
	}
	if after != "" && bare(firstLine(after)) != "" {
		text += end
	}
	*d = *Parse(d.File, before+text+after)
	return nil
}

// Remove takes a cell out, and one of the two blank lines that then meet.
func (d *Document) Remove(id string) error {
	i, err := d.find(id)
	if err != nil {
		return err
	}
	before, after := "", ""
	for _, b := range d.Blocks[:i] {
		before += b.Text
	}
	for _, b := range d.Blocks[i+1:] {
		after += b.Text
	}
	if first := firstLine(after); bare(first) == "" && (before == "" || blankEnd(before)) {
		after = after[len(first):]
	}
	*d = *Parse(d.File, before+after)
	return nil
}

func (d *Document) find(id string) (int, error) {
	i := slices.IndexFunc(d.Blocks, func(b Block) bool { return b.Type == CellBlock && b.Cell.ID == id })
	if i < 0 {
		return 0, fmt.Errorf("cell %s: %w", id, ErrNoCell)
	}
	return i, nil
}

// rewrite makes a cell's block anew with its own fences, as long as they need to be.
func (d *Document) rewrite(i int, info, body string) error {
	c, end := d.Blocks[i].Cell, d.lineEnd()
	opens, closes := c.opens, c.closes
	indent := opens[:len(opens)-len(strings.TrimLeft(opens, " "))]
	f, _ := opening(opens)
	if body != "" && !strings.HasSuffix(body, "\n") {
		body += end
	}
	need := f.length
	for l := range strings.Lines(body) {
		if g, rest, ok := run(l); ok && g.char == f.char && bare(rest) == "" && g.length >= need {
			need = g.length + 1
		}
	}
	if need > f.length || info != c.info {
		opens = indent + strings.Repeat(string(f.char), need) + info + end
	}
	if need > f.length || closes == "" {
		last := ""
		if strings.HasSuffix(closes, "\n") || closes == "" {
			last = end
		}
		closes = indent + strings.Repeat(string(f.char), need) + last
	}
	if !strings.HasSuffix(opens, "\n") {
		opens += end
	}
	var before, after strings.Builder
	for _, b := range d.Blocks[:i] {
		before.WriteString(b.Text)
	}
	for _, b := range d.Blocks[i+1:] {
		after.WriteString(b.Text)
	}
	*d = *Parse(d.File, before.String()+opens+body+closes+after.String())
	return nil
}

// cellText is a new cell whose fence no line of the body closes.
func cellText(ticks, info, body, end string) string {
	if body != "" && !strings.HasSuffix(body, "\n") {
		body += end
	}
	for l := range strings.Lines(body) {
		if f, rest, ok := run(l); ok && f.char == '`' && bare(rest) == "" && f.length >= len(ticks) {
			ticks = strings.Repeat("`", f.length+1)
		}
	}
	return ticks + info + end + body + ticks + end
}

// lineEnd is how the document ends its first line.
func (d *Document) lineEnd() string {
	for _, b := range d.Blocks {
		if l := firstLine(b.Text); strings.HasSuffix(l, "\n") {
			if strings.HasSuffix(l, "\r\n") {
				return "\r\n"
			}
			return "\n"
		}
	}
	return "\n"
}

// blankEnd says whether a text's last line is blank.
func blankEnd(text string) bool {
	t := strings.TrimSuffix(text, "\n")
	return bare(t[strings.LastIndexByte(t, '\n')+1:]) == ""
}
