package tablefile

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"time"
)

// Arg, as a program's first argument, makes it a reader of rows: it must call Main and do nothing else.
const Arg = "table-rows"

// Bounds of a reader's process.
const (
	maxMemory = 1 << 30 // bytes beyond what a fresh process has
	maxTime   = 20 * time.Second
	maxAnswer = 64 << 20
)

// ErrFile is that a file cannot be shown: it is broken, or too large for the bounds.
var ErrFile = errors.New("no rows to show")

// answer is what a reader's process says.
type answer struct {
	Page  Page   `json:"page"`
	Error string `json:"error,omitempty"`
}

// Main reads rows of the file that is standard input and writes them to out; it gives the exit status.
func Main(in *os.File, out io.Writer, args []string) int {
	var said answer
	page, err := readIn(in, args)
	if said.Page = page; err != nil {
		said = answer{Error: err.Error()}
	}
	if err := json.NewEncoder(out).Encode(said); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func readIn(in *os.File, args []string) (Page, error) {
	var ask Ask
	if len(args) != 1 {
		return Page{}, errors.New("want one argument, the rows that are asked for")
	}
	if err := json.Unmarshal([]byte(args[0]), &ask); err != nil {
		return Page{}, err
	}
	memory := cmp.Or(ask.Memory, maxMemory)
	debug.SetMemoryLimit(memory / 2)
	if err := limit(memory, maxTime); err != nil {
		return Page{}, err
	}
	info, err := in.Stat()
	if err != nil {
		return Page{}, err
	}
	return Read(context.Background(), in, info.Size(), ask)
}

// Apart reads rows in a process of their own, this program with Arg: what a file makes of it ends there. On Linux its memory and its
// processor time are bounded; elsewhere its time alone. An error that is ErrFile is the file's fault.
func Apart(ctx context.Context, f *os.File, ask Ask) (Page, error) {
	self, err := os.Executable()
	if err != nil {
		return Page{}, fmt.Errorf("read rows: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	text, err := json.Marshal(ask)
	if err != nil {
		return Page{}, err
	}
	cmd := exec.CommandContext(ctx, self, Arg, string(text))
	var out, words limited
	out.left, words.left = maxAnswer, 1<<12
	cmd.Stdin, cmd.Stdout, cmd.Stderr = f, &out, &words
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	var said answer
	switch {
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return Page{}, fmt.Errorf("%w: it took more than %v", ErrFile, maxTime)
	case ctx.Err() != nil:
		return Page{}, ctx.Err()
	case err != nil && (strings.Contains(words.String(), "out of memory") || strings.Contains(words.String(), "cannot allocate memory")):
		return Page{}, fmt.Errorf("%w: they need more than %d MiB of memory", ErrFile, cmp.Or(ask.Memory, maxMemory)>>20)
	case err != nil && !isExit(err):
		return Page{}, fmt.Errorf("read rows: %w", err)
	case err != nil:
		first, _, _ := strings.Cut(strings.TrimSpace(words.String()), "\n")
		return Page{}, fmt.Errorf("%w: its reader ended with %v: %s", ErrFile, err, first)
	}
	if err := json.Unmarshal(out.b, &said); err != nil {
		return Page{}, fmt.Errorf("%w: they take more than %d MiB", ErrFile, maxAnswer>>20)
	}
	if said.Error != "" {
		return Page{}, fmt.Errorf("%w: %s", ErrFile, said.Error)
	}
	return said.Page, nil
}

// isExit says that a process was started and ended with a status.
func isExit(err error) bool {
	var e *exec.ExitError
	return errors.As(err, &e)
}

// limited keeps the first bytes that are written to it.
type limited struct {
	b    []byte
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.b, l.left = append(l.b, p[:n]...), l.left-n
	return len(p), nil
}

func (l *limited) String() string { return string(l.b) }
