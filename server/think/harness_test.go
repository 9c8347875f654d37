package think

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"triality/experiments"
	"triality/server/audit"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Arg {
		os.Exit(Main(os.Stdin, os.Stdout, openPlan))
	}
	os.Exit(m.Run())
}

// plan is what a model of the tests does; it lies where an order names a model's folder.
type plan struct {
	Verdict string
	Pieces  []string // what it writes
	Then    string   // what it does behind them
	Mark    string   // file that it makes when its writing is stopped
}

func openPlan(o Order) (Model, error) {
	text, err := os.ReadFile(o.Dir)
	if err != nil {
		return nil, experiments.Errorf(experiments.CodeInvalid, "no plan %s", filepath.Base(o.Dir))
	}
	var p plan
	return &p, json.Unmarshal(text, &p)
}

func (p *plan) Hash() string { return strings.Repeat("ab", 32) }
func (p *plan) Close() error { return nil }

func (p *plan) Judge(ctx context.Context, query string) (Judgement, error) {
	switch p.Verdict {
	case "invalid":
		return Judgement{}, experiments.Errorf(experiments.CodeInvalid, "query: it is too long")
	case "broken":
		return Judgement{}, errors.New("the device said: " + query)
	}
	return Judgement{Verdict: p.Verdict, Scores: map[string]float64{"ALLOW": 0.4, "ESCALATION": 0.3, "DENY": 0.2, "REFUSE": 0.1}}, nil
}

func (p *plan) Write(ctx context.Context, query string, d Drawing, emit func(string)) error {
	said := strings.Join(p.Pieces, "")
	for _, piece := range p.Pieces {
		if ctx.Err() != nil {
			break
		}
		emit(piece)
	}
	fmt.Fprintln(os.Stderr, said)
	switch p.Then {
	case "fail":
		return errors.New("the last text was " + said)
	case "panic":
		panic(said)
	case "crash":
		go panic(said)
		select {}
	case "exit":
		os.Exit(3)
	case "hang":
		select {}
	case "wait":
		<-ctx.Done()
		if err := os.WriteFile(p.Mark, nil, 0o600); err != nil {
			return err
		}
		return ctx.Err()
	}
	return nil
}

// world is a gate with all that it writes to.
type world struct {
	t       *testing.T
	dir     string
	log     *audit.Log
	waiting *Waiting
	gate    *Gate
	said    *syncBuffer // by its logger
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newWorld(t *testing.T, p plan, change func(*Options)) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), said: &syncBuffer{}}
	var err error
	if w.log, err = audit.Open(filepath.Join(w.dir, "audit"), nil); err != nil {
		t.Fatal(err)
	}
	if w.waiting, err = OpenWaiting(filepath.Join(w.dir, "escalations"), w.log); err != nil {
		t.Fatal(err)
	}
	w.plan("model", p)
	o := Options{
		Log: w.log, Waiting: w.waiting, Logger: slog.New(slog.NewTextHandler(w.said, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Resolve: func(_ context.Context, model string) (Order, error) {
			if model == "" {
				model = "model"
			}
			return Order{Name: model, Dir: filepath.Join(w.dir, model)}, nil
		},
	}
	if change != nil {
		change(&o)
	}
	w.gate = New(o)
	t.Cleanup(func() {
		w.gate.Close()
		_ = w.log.Close() // where the test has not
	})
	return w
}

func (w *world) plan(name string, p plan) {
	w.t.Helper()
	text, err := json.Marshal(p)
	if err == nil {
		err = os.WriteFile(filepath.Join(w.dir, name), text, 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// process is the one that has the model.
func (w *world) process() *process {
	w.gate.turn <- struct{}{}
	defer func() { <-w.gate.turn }()
	return w.gate.process
}

// entries are those of the audit log, in short.
func (w *world) entries() (out []string) {
	w.t.Helper()
	if err := audit.Read(filepath.Join(w.dir, "audit"), func(e audit.Entry) bool {
		out = append(out, strings.Join(strings.Fields(fmt.Sprint(e.Kind, " ", e.Verdict, " ", e.Outcome, " ", e.Reason, " ", e.Decision)), " "))
		return true
	}); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// heard is what a listener heard, in order.
type heard struct {
	verdict *Verdict
	text    string
	end     *Ending
	onText  func()
	onStep  func(step string)
	deaf    bool // gives errors for texts
}

func (h *heard) Verdict(v Verdict) error { h.verdict = &v; h.step("verdict"); return nil }
func (h *heard) End(e Ending) error      { h.end = &e; h.step("end"); return nil }
func (h *heard) Text(s string) error {
	h.text += s
	h.step("text")
	if h.onText != nil {
		h.onText()
	}
	if h.deaf {
		return errors.New("gone")
	}
	return nil
}

func (h *heard) step(name string) {
	if h.onStep != nil {
		h.onStep(name)
	}
}

func (h *heard) outcome() string {
	if h.end == nil {
		return ""
	}
	return strings.TrimSpace(h.end.Outcome + " " + h.end.Reason)
}

func asked(stream bool) Query {
	return Query{Text: "what is 2 + 2?", MaxNew: 10, TopP: 1, Stream: stream}
}

func (w *world) ask(stream bool) (*heard, error) {
	h := &heard{}
	return h, w.gate.Ask(w.t.Context(), asked(stream), h)
}

// until waits for what another process does.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatal("not within 20 s: " + what)
}
