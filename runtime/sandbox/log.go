package sandbox

import (
	"fmt"
	"strings"
	"sync"
)

// boundedLog keeps the first and the last bytes written to it, at most most
// together: how something began, and what it said before it ended.
type boundedLog struct {
	most int
	// first, where set, is called with what is kept of the beginning.
	first func([]byte)

	mu         sync.Mutex
	head, tail []byte
	left       int64 // bytes between the two that are gone
}

// Write never fails.
func (l *boundedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(p), l.most/2-len(l.head))
	if n > 0 {
		l.head = append(l.head, p[:n]...)
		if l.first != nil {
			l.first(p[:n])
		}
	}
	rest, room := p[n:], l.most-l.most/2
	if over := len(rest) - room; over > 0 {
		l.left += int64(over)
		rest = rest[over:]
	}
	l.tail = append(l.tail, rest...)
	if len(l.tail) > 2*room { // seldom, since what is kept is moved
		l.trim(room)
	}
	return len(p), nil
}

func (l *boundedLog) trim(room int) {
	if over := len(l.tail) - room; over > 0 {
		l.left += int64(over)
		l.tail = append(l.tail[:0], l.tail[over:]...)
	}
}

// text returns what was kept as UTF-8, with a note where something was not.
func (l *boundedLog) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trim(l.most - l.most/2)
	if l.left == 0 {
		return strings.ToValidUTF8(string(l.head)+string(l.tail), "\uFFFD")
	}
	return strings.ToValidUTF8(fmt.Sprintf("%s\n[%d bytes were dropped here]\n%s", l.head, l.left, l.tail), "\uFFFD")
}

// maxLastWords bounds, in bytes, what of a log stands in an error.
const maxLastWords = 400

// lastWords is the part of a log that says why a module ended: the message of
// a panic as Go and Rust print it, or the last line.
func lastWords(log string) string {
	log = strings.TrimRight(log, "\n\r \t")
	words := log[strings.LastIndexByte(log, '\n')+1:]
	for _, sign := range []string{"panic: ", "fatal error: ", "thread '"} {
		at := strings.LastIndex("\n"+log, "\n"+sign)
		if at < 0 {
			continue
		}
		words, _, _ = strings.Cut(log[at:], "\n\n")
		words = strings.Join(strings.Fields(words), " ")
		break
	}
	if len(words) > maxLastWords {
		words = strings.ToValidUTF8(words[:maxLastWords], "") + "…"
	}
	return words
}
