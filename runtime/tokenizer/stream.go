package tokenizer

import "strings"

// Decoder turns ids into text one by one. It is for one goroutine.
type Decoder struct {
	tok         *Tokenizer
	skipSpecial bool
	text        strings.Builder
	push        sink
	flush       func()
}

// NewDecoder starts a text; skipSpecial leaves special tokens out.
func (t *Tokenizer) NewDecoder(skipSpecial bool) *Decoder {
	d := &Decoder{tok: t, skipSpecial: skipSpecial}
	d.reset()
	return d
}

func (d *Decoder) reset() {
	d.push, d.flush = d.tok.decode(func(piece string, _ bool) { d.text.WriteString(piece) })
}

func (d *Decoder) add(id int) {
	if d.tok.known(id) && !(d.skipSpecial && d.tok.special[id]) {
		d.push(d.tok.names[id], true)
	}
}

// Add gives the text that is final with this id: what no further id can change. It is valid UTF-8
// and never ends in the middle of a character. Joined, and with what Flush gives, it is what Decode
// gives for all ids.
func (d *Decoder) Add(id int) string {
	d.add(id)
	return d.take()
}

// Flush gives the rest of the text and starts a new one.
func (d *Decoder) Flush() string {
	d.flush()
	d.reset()
	return d.take()
}

func (d *Decoder) take() string {
	s := d.text.String()
	d.text.Reset()
	return s
}
