package hub

import (
	"context"
	"errors"
	"io"
	"time"
)

var errStalled = errors.New("nothing moved for too long")

// watchdog cuts a connection that moves nothing: its context ends when nothing was read through it for
// as long as its limit.
type watchdog struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	limit  time.Duration
}

// patient is how much longer an endpoint may think about an upload than a download may stand still:
// it joins parts and checks hashes before it answers.
const patient = 10

// watch starts a watchdog; stop it when the exchange is over.
func (c *Client) watch(ctx context.Context, limit time.Duration) (context.Context, *watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watchdog{ctx: ctx, cancel: cancel, limit: limit}
	w.timer = time.AfterFunc(limit, func() { cancel(errStalled) })
	return ctx, w
}

func (w *watchdog) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// reader passes r through and tells the watchdog of every read.
func (w *watchdog) reader(r io.Reader) io.Reader { return watched{r, w} }

type watched struct {
	io.Reader
	w *watchdog
}

func (r watched) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if n > 0 {
		r.w.timer.Reset(r.w.limit)
	}
	if err != nil && err != io.EOF && context.Cause(r.w.ctx) == errStalled {
		err = errStalled
	}
	return n, err
}
