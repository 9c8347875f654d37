package printable

import (
	"io"
	"sync"
	"unicode/utf8"
)

// Writer writes Text of what is written to it. A character may come in parts;
// Flush writes one that was left unfinished. It is safe for use by
// several goroutines.
type Writer struct {
	mu   sync.Mutex
	w    io.Writer
	e    escaper
	held []byte // of a character, or of one whose next is not known
}

// NewWriter returns a Writer on w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w, e: escaper{lines: true}} }

// Unwrap returns what it writes to, for who draws on it.
func (w *Writer) Unwrap() io.Writer { return w.w }

// Write implements io.Writer; it returns len(p) where all that is finished was
// written.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := append(w.held, p...)
	end := len(text)
	for back := 1; back < utf8.UTFMax && back <= len(text); back++ {
		if at := len(text) - back; utf8.RuneStart(text[at]) {
			if !utf8.FullRune(text[at:]) {
				end = at
			}
			break
		}
	}
	// A joiner is judged by what follows it, so it waits for that.
	if r, n := utf8.DecodeLastRune(text[:end]); r == nonJoiner || r == joiner {
		end -= n
	}
	out := w.escape(text[:end])
	w.held = append([]byte(nil), text[end:]...)
	if _, err := io.WriteString(w.w, out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes what waits for more.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.escape(w.held)
	w.held = nil
	_, err := io.WriteString(w.w, out)
	return err
}

func (w *Writer) escape(text []byte) string {
	out, before := escapeAfter(w.e, string(text))
	w.e.before = before
	return out
}
