package fleet

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
)

// jobLog takes what a job prints and sends it in order. It never holds the job up: what the connection does not take
// within its bounds is left out, and said.
type jobLog struct {
	mu     sync.Mutex
	kept   []byte
	at     int64 // of kept[0], in bytes of the log
	lost   int64 // bytes left out since the last that was kept
	closed bool
	wake   chan struct{}
}

const (
	logKept = 8 << 20
	logSent = 256 << 10 // at once
)

func newJobLog() *jobLog { return &jobLog{wake: make(chan struct{}, 1)} }

func (l *jobLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.kept)+len(b) > logKept {
		l.lost += int64(len(b))
		return len(b), nil
	}
	l.sayLost()
	l.kept = append(l.kept, b...)
	l.poke()
	return len(b), nil
}

func (l *jobLog) sayLost() {
	if l.lost > 0 {
		l.kept = fmt.Appendf(l.kept, "\n[%d bytes were printed while the server was out of reach, and are lost]\n", l.lost)
		l.lost = 0
	}
}

func (l *jobLog) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// close says that nothing more comes.
func (l *jobLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.sayLost()
	l.poke()
}

// send sends what is written until the log is closed and sent whole, or ctx ends, or send fails.
func (l *jobLog) send(ctx context.Context, send func(ctx context.Context, method string, args []byte) ([]byte, error)) error {
	for {
		l.mu.Lock()
		n := min(len(l.kept), logSent)
		args := binary.LittleEndian.AppendUint64(make([]byte, 0, 8+n), uint64(l.at))
		args = append(args, l.kept[:n]...)
		closed := l.closed
		l.mu.Unlock()
		if n == 0 {
			if closed {
				return nil
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-l.wake:
			}
			continue
		}
		if _, err := send(ctx, methodLog, args); err != nil {
			return err
		}
		l.mu.Lock()
		l.kept, l.at = append(l.kept[:0], l.kept[n:]...), l.at+int64(n)
		l.mu.Unlock()
	}
}
