package graph

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"triality/experiments"
)

// body is that of the kinds of these tests.
type body struct {
	From []Input           `yaml:"from" takes:"table" doc:"what is added up"`
	One  Input             `yaml:"one" takes:"model" optional:"true" doc:"a model"`
	Seed int               `yaml:"seed" doc:"a number"`
	Text string            `yaml:"text" doc:"a text"`
	More map[string]string `yaml:"more" doc:"texts"`
}

// bench makes kinds whose work is told to the test.
type bench struct {
	mu    sync.Mutex
	ran   []string
	work  func(ctx context.Context, w Work) error
	taken []string
}

func (b *bench) kinds() []Kind {
	kind := func(name string, cost Cost, gives Output) Kind {
		return Kind{
			Name: name, Cost: cost, Body: func() any { return &body{Seed: 1} }, Gives: []Output{gives, {Name: "never", Type: gives.Type}}, Checkpoints: "checkpoints",
			Plan: func(_ context.Context, p Planning) (Outline, error) {
				own := p.Body.(*body)
				parts := []any{own.Seed, own.Text, own.One.Key()}
				for _, in := range own.From {
					parts = append(parts, in.Key())
				}
				key, err := Key(name, parts...)
				return Outline{Key: key, Files: []string{"out"}, Gives: map[string]string{gives.Name: "out"}}, err
			},
			Run: func(ctx context.Context, w Work) error {
				b.mu.Lock()
				b.ran = append(b.ran, w.Step.Name)
				b.mu.Unlock()
				if b.work != nil {
					if err := b.work(ctx, w); err != nil {
						return err
					}
				}
				if err := w.Sink.Metrics(experiments.MetricBatch{"x/" + w.Step.Name: {{Step: 1, Value: float64(w.Device)}}}); err != nil {
					return err
				}
				w.Sink.Note("made")
				return os.WriteFile(w.File("out"), []byte(w.Step.Key), 0o644)
			},
			TakeOver: func(_ context.Context, w Work) error {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.taken = append(b.taken, w.Step.Name)
				return nil
			},
		}
	}
	return []Kind{kind("cheap", Cheap, Output{"sum", Table}), kind("costly", Costly, Output{"sum", Table}), kind("train", Costly, Output{"model", Model})}
}

// records is a recorder in memory.
type records struct {
	mu    sync.Mutex
	lines []string
}

func (r *records) add(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

func (r *records) Begin(_ context.Context, s *Planned, _ time.Time) (Sink, error) {
	r.add("begin %s", s.Name)
	return sink{}, nil
}
func (r *records) Keep(_ context.Context, s *Planned) error { r.add("keep %s", s.Name); return nil }
func (r *records) Reuse(_ context.Context, s *Planned, points experiments.MetricBatch) error {
	r.add("reuse %s %d", s.Name, len(points))
	return nil
}
func (r *records) End(ctx context.Context, s *Planned, _ time.Time, err error, cut bool) error {
	r.add("end %s failed=%v cut=%v", s.Name, err != nil, cut)
	return ctx.Err()
}

type sink struct{}

func (sink) Progress(experiments.Progress)         {}
func (sink) Metrics(experiments.MetricBatch) error { return nil }
func (sink) Note(string)                           {}

// env plans below dir; the literal "there" is a table and "gone" is missing.
func env(dir string) Env {
	return Env{Dir: dir, Device: "test", Tell: func(*Planned) Teller { return sink{} },
		Literal: func(_ context.Context, takes []Type, text string) (Value, error) {
			if text == "gone" {
				return Value{}, experiments.Errorf(experiments.CodeNotFound, "%s: no such %s", text, takes[0])
			}
			return Value{Path: text, Key: "key of " + text}, nil
		}}
}

func step(name, kind string, from ...string) Step {
	b := &body{Text: name}
	for _, f := range from {
		b.From = append(b.From, Ref(f, "sum"))
	}
	return Step{Name: name, Kind: kind, Body: b}
}

func plan(t *testing.T, b *bench, dir string, steps ...Step) *Plan {
	t.Helper()
	p, err := Graph{Steps: steps}.Make(t.Context(), b.kinds(), env(dir))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func order(p *Plan) string {
	var out []string
	for _, s := range p.Steps {
		out = append(out, s.Name)
	}
	return strings.Join(out, " ")
}

// random draws a graph of n steps, each of which takes some of those before it, listed in a drawn order.
func random(seed, n int) []Step {
	state := uint64(seed)*2862933555777941757 + 3037000493
	draw := func(k int) int {
		state = state*6364136223846793005 + 1442695040888963407
		return int(state>>33) % k
	}
	var steps []Step
	for i := range n {
		var from []string
		for j := range i {
			if draw(4) == 0 {
				from = append(from, fmt.Sprint("s", j))
			}
		}
		steps = append(steps, step(fmt.Sprint("s", i), []string{"cheap", "costly"}[draw(2)], from...))
	}
	for i := range steps {
		j := draw(i + 1)
		steps[i], steps[j] = steps[j], steps[i]
	}
	return steps
}

func TestGeneratedGraphsRunEachStepOnceAfterWhatItTakes(t *testing.T) {
	for seed := range 15 {
		steps := random(seed, 12)
		for devices := 1; devices <= 3; devices++ {
			var mu sync.Mutex
			done, busy, most := map[string]bool{}, map[int]bool{}, 0
			b := &bench{}
			b.work = func(_ context.Context, w Work) error {
				mu.Lock()
				defer mu.Unlock()
				for _, in := range w.Body.(*body).From {
					text, err := os.ReadFile(in.Path())
					if err != nil || string(text) != in.Key() {
						t.Errorf("%s takes %s of key %s: %q, %v", w.Step.Name, in.Path(), in.Key(), text, err)
					}
				}
				if w.Step.Kind.Cost == Costly {
					if busy[w.Device] || w.Device >= devices {
						t.Errorf("device %d of %d has two steps", w.Device, devices)
					}
					busy[w.Device] = true
					most = max(most, len(busy))
					mu.Unlock()
					time.Sleep(time.Microsecond)
					mu.Lock()
					busy[w.Device] = false
				}
				done[w.Step.Name] = true
				return nil
			}
			p := plan(t, b, t.TempDir(), steps...)
			if err := (Executor{Devices: devices}).Run(t.Context(), p, &records{}); err != nil {
				t.Fatal(err)
			}
			if len(done) != 12 || len(b.ran) != 12 {
				t.Errorf("seed %d: %d of 12 steps ran, %d times", seed, len(done), len(b.ran))
			}
		}
	}
}

func TestTheOrderIsThatOfTheGraphWhereItIsFree(t *testing.T) {
	p := plan(t, &bench{}, t.TempDir(), step("d", "cheap", "b"), step("a", "cheap"), step("b", "cheap", "a"), step("c", "cheap"))
	if got := order(p); got != "a b d c" {
		t.Errorf("order %s", got)
	}
}

func TestWhatIsFinishedIsTakenOverAndAChangeRerunsWhatDependsOnIt(t *testing.T) {
	dir, b := t.TempDir(), &bench{}
	steps := func(seed int) []Step {
		s := []Step{step("a", "cheap"), step("b", "costly", "a"), step("c", "cheap"), step("d", "cheap", "b", "c")}
		s[1].Body.(*body).Seed = seed
		return s
	}
	first := plan(t, b, dir, steps(1)...)
	if err := (Executor{RunID: "first"}).Run(t.Context(), first, &records{}); err != nil {
		t.Fatal(err)
	}
	if m := plan(t, b, dir, steps(1)...).Steps[1].Done; m == nil || m.RunID != "first" || !slices.Equal(m.Notes, []string{"made"}) || m.Kind != "costly" {
		t.Errorf("marker %+v", m)
	}
	b.ran = nil
	rec := &records{}
	p := plan(t, b, dir, steps(1)...)
	if err := (Executor{}).Run(t.Context(), p, rec); err != nil || !p.Done() || len(b.ran) > 0 || len(b.taken) != 4 {
		t.Errorf("%v: ran %v, took over %v", err, b.ran, b.taken)
	}
	if !slices.Contains(rec.lines, "reuse d 1") {
		t.Errorf("records %v", rec.lines)
	}
	p = plan(t, b, dir, steps(2)...)
	if err := (Executor{}).Run(t.Context(), p, &records{}); err != nil || !slices.Equal(b.ran, []string{"b", "d"}) {
		t.Errorf("%v: ran %v, want b and d", err, b.ran)
	}
	if err := os.Remove(p.Steps[0].Output("sum")); err != nil {
		t.Fatal(err)
	}
	b.ran = nil
	if err := (Executor{}).Run(t.Context(), plan(t, b, dir, steps(2)...), &records{}); err != nil || !slices.Equal(b.ran, []string{"a"}) {
		t.Errorf("%v: ran %v, want a, whose output is gone", err, b.ran)
	}
}

func TestAPlanLeavesTheGraphAsItIs(t *testing.T) {
	s := []Step{step("a", "cheap"), step("b", "cheap", "a")}
	one, two := plan(t, &bench{}, t.TempDir(), s...), plan(t, &bench{}, t.TempDir(), s...)
	if a, b := one.Steps[1].Body.(*body).From[0], two.Steps[1].Body.(*body).From[0]; a.Path() == b.Path() || s[1].Body.(*body).From[0].Path() != "" {
		t.Errorf("%s and %s", a.Path(), b.Path())
	}
}

// Each waits until the other has begun: one after the other they would never end.
func TestStepsThatDoNotDependOnEachOtherRunSideBySide(t *testing.T) {
	for name, tt := range map[string]struct {
		kinds   [2]string
		devices int
	}{"cheap ones": {[2]string{"cheap", "cheap"}, 1}, "cheap and costly": {[2]string{"costly", "cheap"}, 1}, "costly ones on two devices": {[2]string{"costly", "costly"}, 2}} {
		t.Run(name, func(t *testing.T) {
			var both sync.WaitGroup
			both.Add(2)
			b := &bench{work: func(context.Context, Work) error { both.Done(); both.Wait(); return nil }}
			p := plan(t, b, t.TempDir(), step("a", tt.kinds[0]), step("b", tt.kinds[1]))
			if err := (Executor{Devices: tt.devices, Cheap: 2}).Run(t.Context(), p, &records{}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCheapStepsAreBounded(t *testing.T) {
	for bound := 1; bound <= 3; bound++ {
		var mu sync.Mutex
		busy, most := 0, 0
		b := &bench{work: func(context.Context, Work) error {
			mu.Lock()
			busy++
			most = max(most, busy)
			mu.Unlock()
			time.Sleep(time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			busy--
			return nil
		}}
		var steps []Step
		for i := range 8 {
			steps = append(steps, step(fmt.Sprint("s", i), "cheap"))
		}
		if err := (Executor{Cheap: bound}).Run(t.Context(), plan(t, b, t.TempDir(), steps...), &records{}); err != nil || len(b.ran) != 8 || most > bound {
			t.Errorf("%v: %d of 8 ran, %d at once, at most %d may", err, len(b.ran), most, bound)
		}
	}
}

func TestTwoStepsOfOneResultMakeItOnce(t *testing.T) {
	a, b := step("a", "cheap"), step("b", "cheap")
	b.Body.(*body).Text = "a"
	bench := &bench{}
	if err := (Executor{}).Run(t.Context(), plan(t, bench, t.TempDir(), a, b), &records{}); err != nil || !slices.Equal(bench.ran, []string{"a"}) || !slices.Equal(bench.taken, []string{"b"}) {
		t.Errorf("%v: ran %v, took over %v", err, bench.ran, bench.taken)
	}
}

func TestAfterAFailureNothingElseStartsAndWhatRunsEnds(t *testing.T) {
	broken := errors.New("broken")
	began, failed := make(chan struct{}), make(chan struct{})
	b := &bench{}
	b.work = func(_ context.Context, w Work) error {
		switch w.Step.Name {
		case "fails":
			<-began
			defer close(failed)
			return experiments.Errorf(experiments.CodeInvalid, "%w", broken)
		case "beside":
			close(began)
			<-failed
		}
		return nil
	}
	dir, rec := t.TempDir(), &records{}
	p := plan(t, b, dir, step("fails", "costly"), step("beside", "cheap"), step("waits", "costly"), step("after", "cheap", "fails"))
	err := (Executor{}).Run(t.Context(), p, rec)
	if !errors.Is(err, broken) || experiments.CodeOf(err) != experiments.CodeInvalid || err.Error() != "fails: broken" {
		t.Errorf("error %v", err)
	}
	slices.Sort(b.ran)
	if !slices.Equal(b.ran, []string{"beside", "fails"}) || !slices.Contains(rec.lines, "end fails failed=true cut=false") || !slices.Contains(rec.lines, "end beside failed=false cut=false") {
		t.Errorf("ran %v, records %v", b.ran, rec.lines)
	}
	if p.Steps[0].Dir == "" || Finished(p.Steps[0].Dir, p.Steps[0].Key) != nil {
		t.Error("a failed step is marked finished")
	}
}

func TestACancelledRunCutsItsStepsShortAndStartsNone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := &bench{work: func(ctx context.Context, w Work) error {
		if err := os.MkdirAll(w.File("checkpoints"), 0o755); err != nil {
			return err
		}
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}}
	dir, rec := t.TempDir(), &records{}
	steps := []Step{step("a", "costly"), step("b", "costly"), step("c", "cheap", "a")}
	p := plan(t, b, dir, steps...)
	if err := (Executor{}).Run(ctx, p, rec); !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "a: ") {
		t.Errorf("error %v", err)
	}
	if !slices.Equal(rec.lines, []string{"begin a", "end a failed=true cut=true"}) {
		t.Errorf("records %v", rec.lines)
	}
	checkpoints := filepath.Join(p.Steps[0].Dir, "checkpoints")
	if _, err := os.Stat(checkpoints); err != nil {
		t.Errorf("a step that was cut short has lost its checkpoints: %v", err)
	}
	b.work = nil
	if err := (Executor{}).Run(t.Context(), plan(t, b, dir, steps...), &records{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(checkpoints); err == nil {
		t.Error("a finished step left its checkpoints")
	}
}

func TestANameThatLooksLikeAReferenceIsAName(t *testing.T) {
	s := step("a", "cheap")
	s.Body.(*body).From = []Input{Literal("${a.sum}"), Literal("x/${y}")}
	s.Body.(*body).Text = "${nowhere.sum}"
	own := plan(t, &bench{}, t.TempDir(), s).Steps[0].Body.(*body)
	if own.From[0].Path() != "${a.sum}" || own.From[1].Path() != "x/${y}" || own.Text != "${nowhere.sum}" {
		t.Errorf("%+v", own)
	}
}
