package sweep

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"triality/experiments"
	"triality/experiments/graph"
)

// The toy steps: rows, a training whose loss is a function of its keys, and a test of it.
type rowsBody struct {
	Most  int         `yaml:"most" doc:"a number"`
	After graph.Input `yaml:"after" takes:"model" optional:"true" doc:"a model"`
}

type trainBody struct {
	Rows   graph.Input `yaml:"rows" takes:"data set" doc:"rows"`
	Config struct {
		Rate   float64  `yaml:"rate" range:"0..10" doc:"best at 0.3"`
		Rank   int      `yaml:"rank" range:"1..64" doc:"best at 8"`
		Epochs float64  `yaml:"epochs" doc:"more is better"`
		Names  []string `yaml:"names" doc:"words"`
	} `yaml:"config" doc:"a section"`
	Seed uint64 `yaml:"seed" doc:"a seed"`
}

type testBody struct {
	Model graph.Input `yaml:"model" takes:"model" doc:"a model"`
}

// toy counts what it computes, and stops the run before a step of its choice.
type toy struct {
	mu    sync.Mutex
	ran   []string
	stop  int // the step, by number, that the run is killed at; 0: none
	after bool
	kill  context.CancelFunc
}

var errWrong = experiments.Errorf(experiments.CodeInvalid, "the loss is not finite")

func (k *toy) work(w graph.Work, name, content string, metrics map[string]float64) error {
	k.mu.Lock()
	k.ran = append(k.ran, name)
	dies := len(k.ran) == k.stop
	k.mu.Unlock()
	if dies && !k.after {
		k.kill()
		return context.Canceled
	}
	batch := experiments.MetricBatch{}
	for series, v := range metrics {
		batch[series] = []experiments.Point{{Step: 1, Value: 99}, {Step: 2, Value: v}}
	}
	if err := w.Sink.Metrics(batch); err != nil {
		return err
	}
	err := os.WriteFile(w.File("out"), []byte(content), 0o644)
	if dies {
		k.kill() // it has ended, and what comes next has not begun
	}
	return err
}

func (k *toy) kinds() []graph.Kind {
	outline := func(gives string, parts ...any) (graph.Outline, error) {
		key, err := graph.Key(gives, parts...)
		return graph.Outline{Key: key, Files: []string{"out"}, Gives: map[string]string{gives: "out"}}, err
	}
	return []graph.Kind{
		Kind(),
		{
			Name: "rows", Body: func() any { return &rowsBody{Most: 1} }, Gives: []graph.Output{{Name: "dataset", Type: graph.Dataset}},
			Plan: func(_ context.Context, p graph.Planning) (graph.Outline, error) {
				return outline("dataset", p.Body.(*rowsBody).Most, p.Body.(*rowsBody).After.Key())
			},
			Run: func(_ context.Context, w graph.Work) error { return k.work(w, "rows", "rows", nil) },
		},
		{
			Name: "train", Cost: graph.Costly, Body: func() any {
				b := &trainBody{Seed: 1}
				b.Config.Rate, b.Config.Rank, b.Config.Epochs = 1, 1, 1
				return b
			},
			Gives: []graph.Output{{Name: "model", Type: graph.Model}, {Name: "adapter", Type: graph.Adapter}},
			Plan: func(_ context.Context, p graph.Planning) (graph.Outline, error) {
				b := p.Body.(*trainBody)
				return outline("model", b.Rows.Key(), b.Config, b.Seed)
			},
			Run: func(_ context.Context, w graph.Work) error {
				c := w.Body.(*trainBody).Config
				loss := math.Abs(c.Rate-0.3) + math.Abs(float64(c.Rank)-8)/8 + 1/c.Epochs
				if c.Rate > 5 {
					return errWrong
				}
				if c.Rate == 4 {
					loss = math.NaN()
				}
				return k.work(w, fmt.Sprintf("train %v/%d/%v", c.Rate, c.Rank, c.Epochs), fmt.Sprint(loss), map[string]float64{"eval/loss": loss, "train/loss": loss / 2})
			},
		},
		{
			Name: "test", Cost: graph.Costly, Body: func() any { return &testBody{} }, Gives: []graph.Output{{Name: "result", Type: graph.ABResult}},
			Plan: func(_ context.Context, p graph.Planning) (graph.Outline, error) {
				return outline("result", p.Body.(*testBody).Model.Key())
			},
			Run: func(_ context.Context, w graph.Work) error {
				text, err := os.ReadFile(w.Body.(*testBody).Model.Path())
				if err != nil {
					return err
				}
				var loss float64
				if _, err := fmt.Sscan(string(text), &loss); err != nil {
					return err
				}
				return k.work(w, "test", string(text), map[string]float64{"test/accuracy": 1 - loss/10})
			},
		},
	}
}

// heard keeps what is recorded.
type heard struct {
	mu    sync.Mutex
	lines []string
	notes []string
}

func (h *heard) add(what string, s *graph.Planned) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.Variant != nil {
		what += " " + s.Variant.Name + ":"
	}
	h.lines = append(h.lines, what+" "+s.Name)
}

func (h *heard) Begin(_ context.Context, s *graph.Planned, _ time.Time) (graph.Sink, error) {
	h.add("begin", s)
	return h, nil
}
func (h *heard) Keep(context.Context, *graph.Planned) error { return nil }
func (h *heard) Reuse(_ context.Context, s *graph.Planned, _ experiments.MetricBatch) error {
	h.add("reuse", s)
	return nil
}
func (h *heard) End(_ context.Context, s *graph.Planned, _ time.Time, err error, cut bool) error {
	if err != nil {
		h.add(fmt.Sprintf("failed cut=%v", cut), s)
	}
	return nil
}
func (h *heard) Progress(experiments.Progress)         {}
func (h *heard) Metrics(experiments.MetricBatch) error { return nil }
func (h *heard) Note(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.notes = append(h.notes, text)
}

const toyGraph = `steps:
  - {name: data, kind: rows}
  - name: tuned
    kind: train
    body: {rows: "${data.dataset}", config: {rate: 1, rank: 2}}
  - {name: exam, kind: test, body: {model: "${tuned.model}"}}
  - name: search
    kind: sweep
    body: BODY
  - {name: final, kind: test, body: {model: "${search.best.model}"}}
`

func toyText(body string) string { return strings.Replace(toyGraph, "BODY", body, 1) }

func env(dir string, h *heard) graph.Env {
	return graph.Env{Dir: dir, Device: "cpu", Tell: func(*graph.Planned) graph.Teller { return h },
		Literal: func(context.Context, []graph.Type, string) (graph.Value, error) {
			return graph.Value{}, errors.New("nothing is named")
		}}
}

// sweepOnce runs the toy graph with a sweep of this body below dir.
func (k *toy) sweepOnce(t *testing.T, dir, body string, devices int) (*graph.Plan, *heard, error) {
	t.Helper()
	h := &heard{}
	g, err := graph.Parse("g.yaml", []byte(toyText(body)), k.kinds())
	if err != nil {
		t.Fatal(err)
	}
	p, err := g.Make(t.Context(), k.kinds(), env(dir, h))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	k.kill = cancel
	return p, h, graph.Executor{Devices: devices}.Run(ctx, p, h)
}

func stepOf(t *testing.T, p *graph.Plan, name string) *graph.Planned {
	t.Helper()
	for _, s := range p.Steps {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("there is no step %s", name)
	return nil
}

func tableOf(t *testing.T, p *graph.Plan) (Result, string) {
	t.Helper()
	path := filepath.Join(stepOf(t, p, "search").Dir, file)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ReadResult(path)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(text)
}
