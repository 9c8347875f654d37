package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// sink takes tokens in pieces of valid UTF-8; end says that a piece is its token's last.
type sink func(piece string, end bool)

// stage is one step from tokens to text in streaming form: given what takes its result, it gives what
// takes its tokens, and what is called after the last one. A stage passes on what no later token can
// change, and holds the rest.
type stage func(next sink) (push sink, flush func())

// sequence runs stages one after the other.
func sequence(stages []stage) stage {
	return func(next sink) (sink, func()) {
		flushes := make([]func(), len(stages))
		for i := len(stages) - 1; i >= 0; i-- {
			next, flushes[i] = stages[i](next)
		}
		return next, func() {
			for _, f := range flushes {
				f()
			}
		}
	}
}

// fuse makes one token of all.
func fuse(next sink) (sink, func()) {
	return func(piece string, _ bool) { next(piece, false) }, func() { next("", true) }
}

// spaced makes one token of all, with spaces between: what is done without a decoder.
func spaced(next sink) (sink, func()) {
	space := ""
	return func(piece string, end bool) {
		next(space+piece, false)
		if space = ""; end {
			space = " "
		}
	}, func() { next("", true) }
}

// whole gives a step its tokens in one piece.
func whole(take func(token string), flush func()) (sink, func()) {
	held := ""
	return func(piece string, end bool) {
		if held += piece; end {
			token := held
			held = ""
			take(token)
		}
	}, flush
}

// byteLevel turns the byte-level alphabet into text, one token of all.
func byteLevel(next sink) (sink, func()) {
	var held []byte
	return whole(func(token string) {
		held = appendUnmapped(held, token)
		n := len(held) - unfinished(held)
		if n > 0 {
			next(lossy(held[:n]), false)
			held = append(held[:0], held[n:]...)
		}
	}, func() {
		next(lossy(held), true)
		held = nil
	})
}

// unfinished is the length of the start of a character that b ends with.
func unfinished(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if tail := b[len(b)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

// byteFallback turns each run of <0xNN> tokens into the text their bytes are, or, where they are no
// UTF-8, into one U+FFFD a byte. A run is held to its end: a later byte can still make it invalid.
func byteFallback(next sink) (sink, func()) {
	var run []byte
	flush := func() {
		switch {
		case len(run) == 0:
		case utf8.Valid(run):
			next(string(run), true)
		default:
			for range run {
				next("\ufffd", true)
			}
		}
		run = run[:0]
	}
	return whole(func(token string) {
		if b, ok := hexByte(token); ok {
			run = append(run, b)
			return
		}
		flush()
		next(token, true)
	}, flush)
}

// replace replaces text within each token.
func replace(from, to string) stage {
	return func(next sink) (sink, func()) {
		held := ""
		return func(piece string, end bool) {
			if end && held == "" { // a token in one piece, the usual case
				next(strings.ReplaceAll(piece, from, to), true)
				return
			}
			held += piece
			var b strings.Builder
			for {
				before, after, found := strings.Cut(held, from)
				if !found {
					break
				}
				b.WriteString(before)
				b.WriteString(to)
				held = after
			}
			keep := 0
			if !end {
				keep = overlap(held, from)
			}
			b.WriteString(held[:len(held)-keep])
			held = held[len(held)-keep:]
			next(b.String(), end)
		}, func() {}
	}
}

// overlap is the length of the longest proper prefix of s that text ends with.
func overlap(text, s string) int {
	for n := min(len(s)-1, len(text)); n > 0; n-- {
		if strings.HasSuffix(text, s[:n]) {
			return n
		}
	}
	return 0
}

// strip cuts at most start times content from the front of each token and stop times from its end.
func strip(content string, start, stop int) stage {
	return func(next sink) (sink, func()) {
		front, held := start, 0 // what may still be cut in front; contents held back at the end
		return func(piece string, end bool) {
			for front > 0 && strings.HasPrefix(piece, content) {
				piece = piece[len(content):]
				front--
			}
			if piece != "" {
				front = 0
			}
			body := piece
			for strings.HasSuffix(body, content) && stop > 0 {
				body = body[:len(body)-len(content)]
			}
			back := (len(piece) - len(body)) / len(content)
			out := body
			if body != "" {
				out = strings.Repeat(content, held) + body
				held = 0
			}
			held += back
			if extra := held - stop; extra > 0 {
				out += strings.Repeat(content, extra)
				held = stop
			}
			if end {
				front, held = start, 0
			}
			next(out, end)
		}, func() {}
	}
}

// metaspace turns the mark into a space, or, in the first token where one was put before the text, into
// nothing.
func metaspace(mark string, prepended bool) stage {
	return func(next sink) (sink, func()) {
		to := " "
		if prepended {
			to = ""
		}
		return func(piece string, end bool) {
			piece = strings.ReplaceAll(piece, mark, to)
			if end {
				to = " "
			}
			next(piece, end)
		}, func() {}
	}
}
