package generate

import "strings"

// cutter passes text on up to the first stop string. Which one is first does not depend on how the
// text comes in pieces: the one that is complete first, of two that end together the longer.
type cutter struct {
	stop []string
	held string // may be the start of a stop string
	done bool   // one was found
}

// push gives what of the text so far is before any stop string, whatever follows.
func (c *cutter) push(piece string) (text string) {
	if c.done {
		return ""
	}
	c.held += piece
	start, end := -1, len(c.held)+1
	for _, s := range c.stop {
		if i := strings.Index(c.held, s); i >= 0 && (i+len(s) < end || i+len(s) == end && i < start) {
			start, end = i, i+len(s)
		}
	}
	if start >= 0 {
		text, c.held, c.done = c.held[:start], "", true
		return text
	}
	keep := 0
	for _, s := range c.stop {
		for n := min(len(s)-1, len(c.held)); n > keep; n-- {
			if strings.HasSuffix(c.held, s[:n]) {
				keep = n
			}
		}
	}
	text, c.held = c.held[:len(c.held)-keep], c.held[len(c.held)-keep:]
	return text
}

// flush gives what was held back.
func (c *cutter) flush() (text string) {
	text, c.held = c.held, ""
	return text
}
