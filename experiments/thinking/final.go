package thinking

import (
	"bytes"
	"unicode/utf8"
)

// final is the section that leaves. Its characters wait until nothing that follows can make them part of a repetition or
// of a tag.
type final struct {
	thoughts []byte   // all thinking, folded
	short    [][]byte // its sections that are shorter than Repeat
	query    []byte   // folded
	fold     fold
	start    int // in fold.text, of the shortest window of Repeat units that ends with it
	window   int // the window's units
	esc      escapes
	tags     tags
	reason   Reason

	whole   []byte // what has come, without what may go on
	ready   []byte // what may leave
	items   []item // of what waits
	waiting int    // bytes of whole that wait
	behind  int    // units of items
	tag     int    // bytes of endTag that have just come, not part of whole yet
}

// item is what leaves together.
type item struct{ bytes, units int }

const endTag = "</final>"

func newFinal(sections [][]byte, query []byte) *final {
	f := &final{query: query}
	for _, text := range sections {
		part := folded(string(text))
		f.thoughts = append(f.thoughts, part.text...)
		if part.units >= RepeatWhole && part.units < Repeat && !bytes.Contains(query, part.text) {
			f.short = append(f.short, part.text)
		}
	}
	f.esc.sink = f.item
	return f
}

// add reads a character; closed says that it ended the section.
func (f *final) add(r rune) (reason Reason, closed bool) {
	if r == rune(endTag[f.tag]) {
		if f.tag++; f.tag == len(endTag) {
			return f.close()
		}
		return "", false
	}
	begun := endTag[:f.tag]
	if f.tag = 0; len(begun) == len(endTag)-1 {
		return LookAlike, false
	}
	for _, b := range begun {
		f.esc.add(b)
	}
	if r == '<' {
		f.tag = 1
	} else {
		f.esc.add(r)
	}
	return f.reason, false
}

func (f *final) close() (reason Reason, closed bool) {
	if f.esc.end(); f.reason != "" {
		return f.reason, false
	}
	if len(f.fold.text) == 0 {
		return Empty, false
	}
	f.ready = append(f.ready, f.whole[len(f.whole)-f.waiting:]...)
	return "", true
}

// item reads what is one character or one reference.
func (f *final) item(raw, decoded []byte) {
	if f.reason != "" {
		return
	}
	units := 0
	for _, r := range string(decoded) {
		units += f.fold.add(r, f.look)
	}
	f.whole = append(f.whole, raw...)
	f.items = append(f.items, item{len(raw), units})
	f.waiting, f.behind = f.waiting+len(raw), f.behind+units
	if f.reason != "" {
		return
	}
	n, gone := 0, 0
	for ; f.behind-f.items[n].units >= Repeat; n++ {
		f.behind -= f.items[n].units
		gone += f.items[n].bytes
	}
	if n > 0 {
		from := len(f.whole) - f.waiting
		f.ready = append(f.ready, f.whole[from:from+gone]...)
		f.waiting -= gone
		f.items = f.items[n:]
	}
}

// look looks at the newest character of the fold.
func (f *final) look(r, folded rune) {
	if invisible := 0xe0000 <= r && r <= 0xe007f; invisible || f.tags.add(r, folded) { // ASCII that nobody sees
		f.reason = LookAlike
		return
	}
	if folded != 0 && f.repeats() {
		f.reason = Repeated
	}
}

// repeats says whether thinking is repeated in what ends with the fold.
func (f *final) repeats() bool {
	text := f.fold.text
	last, _ := utf8.DecodeLastRune(text)
	f.window += units(last)
	for {
		first, n := utf8.DecodeRune(text[f.start:])
		if f.window-units(first) < Repeat {
			break
		}
		f.window -= units(first)
		f.start += n
	}
	if w := text[f.start:]; f.window >= Repeat && bytes.Contains(f.thoughts, w) && !bytes.Contains(f.query, w) {
		return true
	}
	for _, s := range f.short {
		if bytes.HasSuffix(text, s) {
			return true
		}
	}
	return false
}
