package cli

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// pseudoTerminal is a terminal, and what reads what a program writes to it.
func pseudoTerminal(t *testing.T) (reader, terminal *os.File) {
	t.Helper()
	reader, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("there are no terminals here: ", err)
	}
	t.Cleanup(func() { reader.Close() })
	if err := unix.IoctlSetPointerInt(int(reader.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skip("a terminal cannot be unlocked: ", err)
	}
	n, err := unix.IoctlGetInt(int(reader.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("the terminal cannot be opened: ", err)
	}
	t.Cleanup(func() { terminal.Close() })
	return reader, terminal
}

func TestGeneratedTextDoesNotActOnATerminal(t *testing.T) {
	reader, tty := pseudoTerminal(t)
	e := &env{stdout: screened(tty)}
	fmt.Fprint(e.asIs(), "a\tb \x1b[2J\u202e c")
	fmt.Fprint(e.asIs(), "\u200bend")
	got := make([]byte, 200)
	n, err := reader.Read(got)
	if err != nil {
		t.Fatal(err)
	}
	const want = `a	b \u001b[2J\u202e c\u200bend`
	for len(got[:n]) < len(want) {
		more, err := reader.Read(got[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += more
	}
	if string(got[:n]) != want && string(got[:n]) != "a       "+want[2:] {
		t.Errorf("the terminal got %q, want %q", got[:n], want)
	}
	// Its bar is drawn all the same.
	if bar := newTerminal(screened(tty)); !bar.tty || bar.draws != tty {
		t.Errorf("%+v is no terminal", bar)
	}
}
