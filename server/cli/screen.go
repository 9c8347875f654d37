package cli

import (
	"io"
	"os"

	"golang.org/x/term"

	"triality/runtime/printable"
)

// screened escapes what is printed: names, messages and texts come from files and modules, and shall not
// act on the terminal. JSON means the same afterwards.
func screened(w io.Writer) *printable.Writer { return printable.NewWriter(w) }

// bare is what a screened writer writes to.
func bare(w io.Writer) io.Writer {
	if s, ok := w.(*printable.Writer); ok {
		return s.Unwrap()
	}
	return w
}

// asIs is standard output for text that is a command's result: on a terminal it is escaped, a file or
// another program gets it to the byte.
func (e *env) asIs() io.Writer {
	if isTerminal(e.stdout) {
		return e.stdout
	}
	return bare(e.stdout)
}

func isTerminal(w io.Writer) bool { return terminalOf(w) >= 0 }

// terminalOf is the descriptor of the terminal behind w, -1 where there is none.
func terminalOf(w io.Writer) int {
	if f, ok := bare(w).(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return int(f.Fd())
	}
	return -1
}
