package think

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
	"unicode/utf8"

	"triality/experiments"
	"triality/server/audit"
)

// Limits of a query.
const (
	MaxQuery   = 32 << 10 // bytes
	MaxNew     = 2048     // tokens of a text
	DefaultNew = 512
)

// Options configure a gate.
type Options struct {
	Log     *audit.Log
	Waiting *Waiting
	// Resolve finds a model by the name that a query gives; empty: the server's own.
	Resolve func(ctx context.Context, model string) (Order, error)
	// Program and Args start a model's process; empty: this program with Arg.
	Program string
	Args    []string
	Idle    time.Duration // after which the model is unloaded; 0: 10 minutes
	Time    time.Duration // that a query may take once its turn has come and its model is loaded; 0: 5 minutes
	Grace   time.Duration // that a process has to stop before it is killed; 0: 5 seconds
	Queue   int           // queries that may wait for their turn; 0: 16
	Logger  *slog.Logger
}

// Gate judges queries and answers them, one at a time, by one model that stays loaded.
type Gate struct {
	o      Options
	places chan struct{} // of those that wait and the one that is answered
	turn   chan struct{} // of the one that is answered; what is below is its

	process *process
	idle    *time.Timer
	closed  bool
	mu      sync.Mutex // of idle
}

// New makes a gate; it loads nothing yet.
func New(o Options) *Gate {
	if o.Idle == 0 {
		o.Idle = 10 * time.Minute
	}
	if o.Time == 0 {
		o.Time = 5 * time.Minute
	}
	if o.Grace == 0 {
		o.Grace = grace
	}
	if o.Queue == 0 {
		o.Queue = 16
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Gate{o: o, places: make(chan struct{}, o.Queue+1), turn: make(chan struct{}, 1)}
}

// Query is what is asked.
type Query struct {
	Text        string
	Model       string // empty: the server's own
	Language    string // of fixed texts: en or ja; empty: that of the query
	MaxNew      int
	Temperature float64
	TopP        float64
	Stream      bool // the final's text comes in pieces
}

// Check refuses what is out of bounds.
func (q Query) Check() error {
	invalid := func(format string, args ...any) error {
		return experiments.Errorf(experiments.CodeInvalid, format, args...)
	}
	switch {
	case q.Text == "":
		return invalid("query: it is empty")
	case len(q.Text) > MaxQuery:
		return experiments.Errorf(experiments.CodeTooLarge, "query: it has %d bytes, at most %d", len(q.Text), MaxQuery)
	case !utf8.ValidString(q.Text):
		return invalid("query: it is not UTF-8")
	case q.Language != "" && q.Language != "en" && q.Language != "ja":
		return invalid("language: want en or ja, have %.20q", q.Language)
	case q.MaxNew < 1 || q.MaxNew > MaxNew:
		return invalid("max_new_tokens is %d: want 1 to %d", q.MaxNew, MaxNew)
	case !(q.Temperature >= 0 && q.Temperature <= 10):
		return invalid("temperature is %g: want 0, which takes the likeliest token, to 10", q.Temperature)
	case !(q.TopP > 0 && q.TopP <= 1):
		return invalid("top_p is %g: want more than 0, and at most 1, which keeps all tokens", q.TopP)
	case q.Temperature == 0 && q.TopP < 1:
		return invalid("top_p is %g, but temperature is 0, which always takes the likeliest token: set a temperature", q.TopP)
	}
	return nil
}

// Verdict is what a query was judged to be. It is on stable storage when it is told.
type Verdict struct {
	Request int64  `json:"request"` // its number in the audit log
	Model   string `json:"model"`
	Hash    string `json:"model_hash"`
	Judgement
}

// Ending is how an answer ended.
type Ending struct {
	Outcome string `json:"outcome"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// Listener hears of a query in order: its verdict, the answer's text, its end. An error of Text says that nobody listens any
// more: the writing is stopped.
type Listener interface {
	Verdict(Verdict) error
	Text(string) error
	End(Ending) error
}

// Ask judges and answers a query. An error says that it was not answered, and, where the listener has heard texts, that they
// are withdrawn.
func (g *Gate) Ask(ctx context.Context, q Query, to Listener) error {
	if err := q.Check(); err != nil {
		return err
	}
	select {
	case g.places <- struct{}{}:
		defer func() { <-g.places }()
	default:
		return experiments.Errorf(experiments.CodeUnavailable, "%d queries wait already: ask again later", g.o.Queue)
	}
	order, err := g.o.Resolve(ctx, q.Model)
	if err != nil {
		return err
	}
	select {
	case g.turn <- struct{}{}:
		defer g.rest()
	case <-ctx.Done():
		return ctx.Err()
	}
	p, err := g.loaded(ctx, order)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, g.o.Time, errTime)
	defer cancel()
	r, err := p.do(ctx, ask{Judge: &judgeAsk{q.Text}}, nil)
	if err == nil && r.Failed != nil {
		err = r.Failed.err()
	}
	if err != nil {
		return cut(ctx, err)
	}
	v := Verdict{Model: order.Name, Hash: p.hash, Judgement: *r.Judged}
	entry, err := g.o.Log.Append(audit.Entry{
		Kind: audit.KindRequest, User: "local", Query: audit.Keyed(g.o.Log.Salt(), q.Text), Verdict: v.Verdict, Scores: v.Scores, Model: v.Hash,
	})
	if err != nil {
		return g.unlogged(err)
	}
	v.Request = entry.Seq
	return g.reply(ctx, p, q, v, to)
}

// errTime is the cause of the end of a query that took too long.
var errTime = errors.New("it took too long")

// cut is the error of what did not come to a verdict.
func cut(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errTime) {
		return experiments.Errorf(experiments.CodeUnavailable, "the query took longer than it may")
	}
	return err
}

func (g *Gate) unlogged(err error) error {
	g.o.Logger.Error("think: the audit log refuses", "error", err)
	return experiments.Errorf(experiments.CodeUnavailable, "the audit log cannot be written, and nothing is answered without it")
}

// reply answers a query that was judged, and logs how it ended before that is told.
func (g *Gate) reply(ctx context.Context, p *process, q Query, v Verdict, to Listener) error {
	var e end
	switch v.Verdict {
	case "ALLOW":
		e = g.write(ctx, p, q, v, to)
	case "ESCALATION":
		e = end{Outcome: Waits, Text: fixedText(v.Verdict, q)}
		if err := g.o.Waiting.Put(Escalation{Request: v.Request, Time: time.Now().UTC(), Query: q.Text, Verdict: v.Verdict, Scores: v.Scores, Model: v.Model, Hash: v.Hash}); err != nil {
			g.o.Logger.Error("think: a query that a person must look at could not be kept", "request", v.Request, "error", err)
			e = end{Outcome: Failed, Reason: "queue", Message: "the query could not be put into the queue of those that a person looks at: ask again"}
		}
	case "DENY", "REFUSE":
		e = end{Outcome: Refused, Text: fixedText(v.Verdict, q)}
	default:
		e = end{Outcome: Failed, Reason: "verdict", Message: "the verdict is none of the four"}
	}
	if _, err := g.o.Log.Append(audit.Entry{Kind: audit.KindAnswer, User: "local", Of: v.Request, Sections: e.Sections, Outcome: e.Outcome, Reason: e.Reason}); err != nil {
		return g.unlogged(err)
	}
	if e.Outcome == Cancelled {
		return context.Canceled
	}
	if v.Verdict != "ALLOW" || !q.Stream { // else it was told before its text
		if err := to.Verdict(v); err != nil {
			return err
		}
	}
	if e.Text != "" {
		if err := to.Text(e.Text); err != nil {
			return err
		}
	}
	return to.End(Ending{e.Outcome, e.Reason, e.Message})
}

// write has the model write, the final alone.
func (g *Gate) write(ctx context.Context, p *process, q Query, v Verdict, to Listener) end {
	if q.Stream {
		if err := to.Verdict(v); err != nil {
			return end{Outcome: Cancelled}
		}
	}
	var seed [8]byte
	rand.Read(seed[:]) // never fails
	r, err := p.do(ctx, ask{Write: &writeAsk{q.Text, Drawing{q.MaxNew, q.Temperature, q.TopP, binary.LittleEndian.Uint64(seed[:])}, q.Stream}}, to.Text)
	late := errors.Is(context.Cause(ctx), errTime)
	switch {
	case err != nil && ctx.Err() != nil && !late:
		return end{Outcome: Cancelled}
	case err != nil:
		return end{Outcome: Failed, Reason: "process", Message: err.Error()}
	case r.Failed != nil:
		return end{Outcome: Failed, Reason: "process", Message: r.Failed.Message}
	case r.End == nil:
		return end{Outcome: Failed, Reason: "process", Message: "the model's process gave no answer"}
	case r.End.Outcome == Cancelled && late:
		return end{Outcome: Failed, Reason: "time", Message: fmt.Sprintf("the answer took longer than %v: lower max_new_tokens", g.o.Time), Sections: r.End.Sections}
	}
	return *r.End
}

// loaded gives a process that has a model, one that is there or another in its place. The caller has the turn.
func (g *Gate) loaded(ctx context.Context, order Order) (*process, error) {
	g.mu.Lock()
	if g.idle != nil {
		g.idle.Stop()
	}
	closed := g.closed
	g.mu.Unlock()
	if closed {
		return nil, experiments.Errorf(experiments.CodeUnavailable, "the server is stopping")
	}
	if g.process != nil && g.process.order == order && g.process.alive() {
		return g.process, nil
	}
	g.unload()
	began := time.Now()
	p, err := start(ctx, g.o, order, g.o.Log.Salt())
	if err != nil {
		return nil, err
	}
	g.o.Logger.Info("think: model loaded", "model", order.Name, "sha256", p.hash, "took", time.Since(began).Round(time.Millisecond))
	g.process = p
	return p, nil
}

func (g *Gate) unload() {
	if g.process != nil {
		g.process.stop()
		g.process = nil
	}
}

// rest gives the turn back; the model is unloaded where nobody asks for long.
func (g *Gate) rest() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed && g.process != nil {
		g.idle = time.AfterFunc(g.o.Idle, func() {
			select {
			case g.turn <- struct{}{}:
				g.unload()
				<-g.turn
			default: // somebody asks
			}
		})
	}
	<-g.turn
}

// Close ends the model's process, after the query that is being answered.
func (g *Gate) Close() {
	g.mu.Lock()
	g.closed = true
	if g.idle != nil {
		g.idle.Stop()
	}
	g.mu.Unlock()
	g.turn <- struct{}{}
	g.unload()
	<-g.turn
}
