package hub

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	defaultRetries = 5
	firstPause     = time.Second
	longestPause   = 30 * time.Second
	// longestAsked is the longest pause that an endpoint's Retry-After can ask for; beyond it the call
	// fails and says when to come back.
	longestAsked = 10 * time.Minute
)

// temporary is a failure that trying again may mend.
type temporary struct {
	err   error
	after time.Duration // what the endpoint asked for; 0: nothing
}

func (t *temporary) Error() string { return t.err.Error() }
func (t *temporary) Unwrap() error { return t.err }

// retry calls try until it succeeds, fails for good, or has failed retries times in a row; a try that
// moved bytes starts the count again. Pauses double, with jitter, from a second to half a minute.
func (c *Client) retry(ctx context.Context, retries int, try func() (moved bool, err error)) error {
	failures := 0
	for {
		moved, err := try()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var t *temporary
		if !errors.As(err, &t) {
			return err
		}
		if moved {
			failures = 0
		}
		failures++
		if failures > retries {
			return t.err
		}
		pause := min(firstPause<<(failures-1), longestPause)
		pause += time.Duration(rand.Int64N(int64(pause)/4 + 1))
		if t.after > longestAsked {
			return failf(ErrUnreachable, "%w; it asks to come back in %s", t.err, t.after.Round(time.Second))
		}
		pause = max(pause, t.after)
		c.say(fmt.Sprintf("%v; trying again in %s", t.err, pause.Round(100*time.Millisecond)))
		if err := c.sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// sleepFor waits, or returns the context's error.
func sleepFor(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// retryAfter reads the header's seconds or date; 0 where it has neither.
func retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if n, err := strconv.Atoi(v); err == nil && n > 0 {
		return time.Duration(min(n, 1<<31)) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// networkFailure classes an error of a request that got no answer, or whose answer broke off. URLs are
// cut from the text: a redirect's carries a signature.
func networkFailure(err error, s subject) error {
	host := ""
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
		if at, perr := url.Parse(u.URL); perr == nil {
			host = " at " + at.Host
		}
	}
	var certificate *tls.CertificateVerificationError
	var dns *net.DNSError
	var f *failure
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &certificate):
		return failf(ErrUnreachable, "%s: the certificate%s is not trusted: %w", s, host, err)
	case errors.As(err, &dns) && dns.IsNotFound:
		return failf(ErrUnreachable, "%s: no such host%s: %w; check HF_ENDPOINT and the network", s, host, err)
	}
	return &temporary{err: failf(ErrUnreachable, "%s: connection%s failed: %w", s, host, err)}
}
