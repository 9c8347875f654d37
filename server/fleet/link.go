package fleet

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"triality/experiments"
	"triality/runtime/disk"
	"triality/server/worker"
)

// Refused is the end of a worker that the server does not want.
type Refused struct{ Why string }

func (r *Refused) Error() string { return "refused: " + r.Why }

// Access is how a worker comes in.
type Access struct {
	URL  string // nats://HOST:PORT
	Text string // of the token file: a token of `triality worker token`, or what Login takes
	CA   string // file of the authorities that the server's certificate is held to; empty: the token's pin, or the system's
}

// options are what NATS needs to know of it.
func (a Access) options(name string) ([]nats.Option, error) {
	var o []nats.Option
	token, ours := parseToken(a.Text)
	switch {
	case ours:
		o = append(o, nats.Token(token.String()))
	default:
		o = append(o, Login(a.Text)...)
	}
	switch {
	case a.CA != "":
		if _, err := os.Stat(a.CA); err != nil {
			return nil, experiments.Errorf(experiments.CodeInvalid, "ca: %w", err)
		}
		o = append(o, nats.RootCAs(a.CA))
	case ours:
		o = append(o, nats.Secure(pinned(token.Pin)))
	case strings.HasPrefix(a.URL, "tls://"):
		o = append(o, nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12}))
	}
	return append(o, nats.Name(name), nats.CustomInboxPrefix(inboxPrefix(name))), nil
}

// Login is how one comes in to NATS servers that are there, by the text of a token file: credentials, a user and a
// password as two lines ("user: NAME", "password: TEXT"), or a token.
func Login(text string) []nats.Option {
	text = strings.TrimSpace(text)
	if strings.Contains(text, "BEGIN NATS USER JWT") {
		return []nats.Option{nats.UserCredentialBytes([]byte(text))}
	}
	first, second, _ := strings.Cut(text, "\n")
	user, ok := strings.CutPrefix(strings.TrimSpace(first), "user:")
	password, has := strings.CutPrefix(strings.TrimSpace(second), "password:")
	switch {
	case ok && has:
		return []nats.Option{nats.UserInfo(strings.TrimSpace(user), strings.TrimSpace(password))}
	case text != "":
		return []nats.Option{nats.Token(text)}
	}
	return nil
}

// ReadAccess reads a token file, which only its user may read.
func ReadAccess(url, tokenFile, ca string) (Access, error) {
	a := Access{URL: url, CA: ca}
	text, err := disk.ReadRegular(tokenFile, 64<<10)
	if err != nil {
		return a, fmt.Errorf("token file: %w", err)
	}
	if strings.TrimSpace(string(text)) == "" {
		return a, experiments.Errorf(experiments.CodeInvalid, "token file %s is empty; `triality worker token` makes one", tokenFile)
	}
	a.Text = string(text)
	return a, nil
}

// link is a worker's connection. What is said is said again until it is answered.
type link struct {
	conn     *nats.Conn
	name     string
	instance string
	refused  chan error // what NATS refused for good
	try      time.Duration
}

// dial connects, however long the server stays away, until ctx ends.
func dial(ctx context.Context, a Access, name string, try time.Duration, waiting func(error)) (*link, error) {
	l := &link{name: name, instance: rand.Text(), refused: make(chan error, 1), try: try}
	with, err := a.options(name)
	if err != nil {
		return nil, err
	}
	refuse := func(err error) {
		select {
		case l.refused <- err:
		default:
		}
	}
	with = append(with,
		nats.MaxReconnects(-1), nats.ReconnectWait(300*time.Millisecond), nats.ReconnectJitter(200*time.Millisecond, 200*time.Millisecond),
		nats.ReconnectBufSize(-1), nats.Timeout(max(try, time.Second)), nats.PingInterval(try), nats.MaxPingsOutstanding(2),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			// The library removes a consumer that it has replaced; NATS does so too, after a while.
			if errors.Is(err, nats.ErrPermissionViolation) && !strings.Contains(err.Error(), "$JS.API.CONSUMER.DELETE.") {
				refuse(&Refused{Why: (&Denied{What: err.Error()}).Error()})
			}
		}),
		nats.ClosedHandler(func(c *nats.Conn) {
			if errors.Is(c.LastError(), nats.ErrAuthorization) || errors.Is(c.LastError(), nats.ErrAuthExpired) || errors.Is(c.LastError(), nats.ErrAuthRevoked) {
				refuse(&Refused{Why: "the token is not accepted any more"})
			}
		}),
	)
	for told := ""; ; {
		l.conn, err = nats.Connect(a.URL, with...)
		switch {
		case err == nil:
			return l, nil
		case errors.Is(err, nats.ErrAuthorization):
			return nil, &Refused{Why: fmt.Sprintf("%s does not accept the token for a worker called %s", a.URL, name)}
		case errors.Is(err, nats.ErrSecureConnWanted), strings.Contains(err.Error(), "the server's key is not"), strings.Contains(err.Error(), "parse "):
			return nil, experiments.Errorf(experiments.CodeInvalid, "join %s: %w", a.URL, err)
		}
		text, why := outOfDate(err)
		if text != told {
			told = text
			waiting(why)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// outOfDate says what is wrong where the server's certificate does not hold at what this machine's clock shows, and
// gives beside it a text that does not change with the time. Another error stays as it is.
func outOfDate(err error) (text string, why error) {
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
		return err.Error(), err
	}
	text = fmt.Sprintf("the certificate of %q holds from %s to %s", invalid.Cert.Subject.CommonName, invalid.Cert.NotBefore.Format(time.RFC3339), invalid.Cert.NotAfter.Format(time.RFC3339))
	return text, fmt.Errorf("%s, and this machine's clock shows %s; set the clock, or renew the certificate: %w", text, time.Now().UTC().Format(time.RFC3339), err)
}

// ask sends JSON once and reads the answer.
func (l *link) ask(ctx context.Context, verb string, v, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, l.try)
	defer cancel()
	m, err := l.conn.RequestWithContext(ctx, subject(l.name, verb), encode(v))
	if err != nil {
		return err
	}
	return json.Unmarshal(m.Data, answer)
}

// line is the conversation about one attempt.
type line struct {
	*link
	ref

	mu   sync.Mutex
	next uint64
	open map[uint64]bool // calls without an answer
}

// begin numbers a call.
func (l *line) begin() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	if l.open == nil {
		l.open = map[uint64]bool{}
	}
	l.open[l.next] = true
	return l.next
}

func (l *line) ended(id uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, id)
}

// acked is the least number without an answer.
func (l *line) acked() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	least := l.next + 1
	for id := range l.open {
		least = min(least, id)
	}
	return least
}

// call has the server do something for the attempt and gives its answer, through any loss of the connection, until
// ctx ends. worker.ErrFenced is the answer where the attempt is over.
func (l *line) call(ctx context.Context, method string, args []byte) ([]byte, error) {
	id := l.begin()
	defer l.ended(id)
	parts := parted(args)
	for {
		answer, err := l.say(ctx, id, method, parts)
		if !errors.Is(err, errAgain) {
			return answer, err
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// say says a call whole.
func (l *line) say(ctx context.Context, id uint64, method string, parts [][]byte) ([]byte, error) {
	var h answerHead
	var answer []byte
	for i, part := range parts {
		var err error
		if h, answer, err = l.part(ctx, head{ID: id, Method: method, Part: i, Parts: len(parts)}, part); err != nil {
			return nil, err
		}
	}
	for i := 1; i < h.Parts; i++ {
		_, more, err := l.part(ctx, head{ID: id, Method: method, Want: i}, nil)
		if err != nil {
			return nil, err
		}
		answer = append(answer, more...)
	}
	return answer, nil
}

// part says a part until it is answered.
func (l *line) part(ctx context.Context, h head, body []byte) (answerHead, []byte, error) {
	h.ref, h.Instance, h.Acked = l.ref, l.instance, l.acked()
	m := nats.NewMsg(subject(l.name, verbCall))
	m.Header.Set(headKey, string(encode(h)))
	m.Data = body
	for {
		try, cancel := context.WithTimeout(ctx, l.try)
		got, err := l.conn.RequestMsgWithContext(try, m)
		cancel()
		if ctx.Err() != nil {
			return answerHead{}, nil, context.Cause(ctx)
		}
		if err == nil {
			var a answerHead
			if err := json.Unmarshal([]byte(got.Header.Get(headKey)), &a); err != nil {
				return a, nil, fmt.Errorf("%s: the answer's head: %w", h.Method, err)
			}
			switch a.Code {
			case "":
				return a, got.Data, nil
			case codeFenced:
				return a, nil, fmt.Errorf("%w (%s)", worker.ErrFenced, a.Message)
			case codeAgain:
				return a, nil, errAgain
			}
			return a, nil, experiments.Errorf(experiments.Code(a.Code), "%s", a.Message)
		}
		if errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrConnectionClosed) {
			return answerHead{}, nil, experiments.Errorf(experiments.CodeUnavailable, "%s: %w", h.Method, err)
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return answerHead{}, nil, err
		}
	}
}

// tell says something whose loss does no harm.
func (l *line) tell(method string, args []byte) {
	m := nats.NewMsg(subject(l.name, verbTell))
	m.Header.Set(headKey, string(encode(head{ref: l.ref, Instance: l.instance, Method: method})))
	m.Data = args
	_ = l.conn.PublishMsg(m)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
