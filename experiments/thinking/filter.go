package thinking

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"
)

// Filter reads a generated text piece by piece. What it lets out does not depend on where the pieces are cut.
type Filter struct {
	emit    func(string)
	query   []byte // folded
	section int    // the one that is open or due
	open    bool
	due     string // what is left of the tag that is due, where it has begun
	text    [4][]byte
	rune    []byte // of the final: a character's first bytes
	final   *final
	bytes   int
	done    bool
	err     *Error
}

// New gives a filter of the answer to a query. emit gets the final section's text in pieces.
func New(query string, emit func(string)) *Filter {
	return &Filter{emit: emit, query: folded(query).text}
}

// Write reads a piece; more says whether anything that follows can still leave. What follows is not looked at then.
func (f *Filter) Write(piece string) (more bool) {
	for i := 0; i < len(piece) && f.err == nil && !f.done; i++ {
		if f.bytes++; f.bytes > MaxBytes {
			f.fail(TooLong)
			break
		}
		f.put(piece[i])
	}
	if f.final != nil && len(f.final.ready) > 0 {
		f.emit(string(f.final.ready))
		f.final.ready = f.final.ready[:0]
	}
	return f.err == nil && !f.done
}

// Close ends the text: nil where it was well-formed, else an *Error.
func (f *Filter) Close() error {
	if f.err == nil && !f.done {
		reason := Cut
		if f.section == 0 && !f.open {
			reason = NoSections
		}
		f.fail(reason)
	}
	if f.err != nil {
		return f.err
	}
	return nil
}

func (f *Filter) fail(reason Reason) { f.err = &Error{reason, Sections[f.section]} }

func (f *Filter) put(b byte) {
	switch {
	case !f.open:
		f.outside(b)
	case f.final != nil:
		f.rune = append(f.rune, b)
		for len(f.rune) > 0 && utf8.FullRune(f.rune) && f.err == nil && !f.done {
			r, n := utf8.DecodeRune(f.rune) // of what is no character, one byte
			f.rune = f.rune[n:]
			f.answer(r)
		}
	default:
		f.think(b)
	}
}

const longestTag = len("</think-safety>")

// outside reads what stands around sections.
func (f *Filter) outside(b byte) {
	if f.due == "" && (b == ' ' || b == '\t' || b == '\r' || b == '\n') {
		return
	}
	if f.due == "" {
		f.due = "<" + Sections[f.section] + ">"
	}
	if b != f.due[0] {
		reason := Between
		if f.section == 0 {
			reason = NoSections
		}
		f.fail(reason)
		return
	}
	if f.due = f.due[1:]; f.due != "" {
		return
	}
	f.open = true
	if f.section == len(Sections)-1 {
		f.final = newFinal(f.text[:f.section], f.query)
	}
}

// think reads thinking.
func (f *Filter) think(b byte) {
	text := append(f.text[f.section], b)
	f.text[f.section] = text
	if b != '>' {
		return
	}
	begin := bytes.LastIndexByte(text, '<')
	if begin < 0 || len(text)-begin > longestTag {
		return
	}
	name, isEnd := strings.CutPrefix(string(text[begin+1:len(text)-1]), "/")
	i := slices.Index(Sections[:], name)
	switch {
	case i < 0:
	case i != f.section || !isEnd:
		f.fail(Nested)
	default:
		f.text[i] = text[:begin]
		f.section, f.open = f.section+1, false
	}
}

// answer reads a character of the final.
func (f *Filter) answer(r rune) {
	reason, closed := f.final.add(r)
	switch {
	case reason != "":
		f.fail(reason)
	case closed:
		f.text[f.section] = f.final.whole
		f.done = true
	}
}

// Digests gives the HMAC-SHA-256 under key of each section that is complete, in hexadecimal, by its name.
func (f *Filter) Digests(key []byte) map[string]string {
	out := map[string]string{}
	for i, name := range Sections {
		if i < f.section || f.done {
			mac := hmac.New(sha256.New, key)
			mac.Write([]byte(name + "\n"))
			mac.Write(f.text[i])
			out[name] = hex.EncodeToString(mac.Sum(nil))
		}
	}
	return out
}

// Apply is a filter over a whole text: its final section, or an *Error.
func Apply(query, text string) (string, error) {
	var out strings.Builder
	f := New(query, func(s string) { out.WriteString(s) })
	f.Write(text)
	if err := f.Close(); err != nil {
		return "", err
	}
	return out.String(), nil
}
