package transfer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"triality/experiments"
)

// link is a Caller that waits for a server which cannot be reached or is busy.
type link struct {
	caller Caller
	log    *slog.Logger
	bucket bool          // the server has one
	pause  time.Duration // the longest between two tries; 0: 5 s
}

// call makes a call again until it has an answer, or ctx ends.
func (l link) call(ctx context.Context, method string, args, reply any) error {
	pause, told := 50*time.Millisecond, ""
	longest := l.pause
	if longest == 0 {
		longest = 5 * time.Second
	}
	for {
		err := l.caller.Call(ctx, method, args, reply)
		if err == nil || final(err) {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w; the last try: %w", method, context.Cause(ctx), err)
		}
		if text := err.Error(); text != told {
			l.log.Warn("a call is tried again", "method", method, "error", text)
			told = text
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, longest)
	}
}

// final says whether an error is the server's answer.
func final(err error) bool {
	var coded *experiments.Error
	return errors.As(err, &coded) && coded.Code != experiments.CodeUnavailable && coded.Code != experiments.CodeUnknown
}
