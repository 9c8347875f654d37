package worker

import (
	"bytes"
	"errors"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"
)

// Lost is the end of an attempt whose worker, on another machine, gave it up or was not heard of any more.
type Lost struct {
	Cause string
	Left  bool // the worker was stopped and said so: nothing of the job's doing
}

func (l *Lost) Error() string { return l.Cause }

// tail keeps the end of what is written to it. It is safe for use by several goroutines.
type tail struct {
	mu    sync.Mutex
	kept  []byte
	ended bool // a panic has said what it is; its goroutines may fill any room
}

// lastWords bounds what a death tells of the log.
const lastWords = 2048

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return len(b), nil
	}
	t.kept = append(t.kept, b...)
	if i := bytes.Index(t.kept, []byte("\n\ngoroutine ")); i >= 0 {
		t.kept, t.ended = t.kept[:i], true
	}
	if n := len(t.kept) - lastWords; n > 0 {
		t.kept = append(t.kept[:0], t.kept[n:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := t.kept
	for len(text) > 0 && !utf8.RuneStart(text[0]) {
		text = text[1:]
	}
	return strings.TrimSpace(strings.ToValidUTF8(string(text), "\ufffd"))
}

// outOfMemory are the words of a runtime that the system gave no more memory.
var outOfMemory = regexp.MustCompile(`out of memory|cannot allocate memory`)

// causeOf names why a process ended, the same for deaths of the same kind.
func causeOf(waited error, words string) string {
	if outOfMemory.MatchString(words) {
		return "out of memory"
	}
	for line := range strings.Lines(words) {
		if strings.TrimSpace(line) == "worker: "+interrupted {
			return interrupted
		}
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return strings.TrimSpace(line)
		}
	}
	var exit *exec.ExitError
	if !errors.As(waited, &exit) {
		return "it left without saying how its job ended"
	}
	return signalOf(exit)
}
