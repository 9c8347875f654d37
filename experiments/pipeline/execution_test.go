package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"triality/experiments"
	"triality/experiments/graph"
	"triality/experiments/pipeline/metrictest"
	"triality/runtime/device"
)

// counted is a tracker that lists its calls, of which one may fail.
type counted struct {
	*kept
	calls []string
	fails string
}

var errTracker = errors.New("the tracker is full")

func (c *counted) call(format string, args ...any) error {
	c.calls = append(c.calls, fmt.Sprintf(format, args...))
	if c.fails != "" && strings.HasPrefix(c.calls[len(c.calls)-1], c.fails) {
		return errTracker
	}
	return nil
}

func names(batch experiments.MetricBatch) string {
	return strings.Join(slices.Sorted(maps.Keys(batch)), " ")
}

func (c *counted) SaveRun(_ context.Context, r experiments.Run) error {
	var status []string
	for _, s := range r.Steps {
		status = append(status, string(s.Status))
	}
	return c.call("save %s %v", strings.Join(status, " "), r.Summary)
}
func (c *counted) LogMetrics(_ context.Context, _ string, batch experiments.MetricBatch) error {
	return c.call("log %s", names(batch))
}
func (c *counted) RestartMetrics(_ context.Context, _ string, batch experiments.MetricBatch) error {
	return c.call("restart %s", names(batch))
}
func (c *counted) Progress(run, step string, _ experiments.Progress) {
	c.call("progress %s %s", run, step)
}
func (c *counted) SaveArtifact(_ context.Context, _, path, _ string, r io.Reader) (experiments.Artifact, error) {
	b, err := io.ReadAll(r)
	return experiments.Artifact{}, errors.Join(err, c.call("keep %s: %s", path, b))
}
func (c *counted) Module(ctx context.Context, sum string) (experiments.Module, []byte, error) {
	if err := c.call("module"); err != nil {
		return experiments.Module{}, nil, err
	}
	return c.kept.Module(ctx, sum)
}
func (c *counted) UseModule(ctx context.Context, run string, m experiments.Module, wasm []byte) error {
	return errors.Join(c.call("use %s", m.Name), c.kept.UseModule(ctx, run, m, wasm))
}

// oneStep is a run under way of one finished step, named "step", with an artifact.
func oneStep(t *testing.T, fails string) (*execution, *counted, *graph.Planned) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "out.json"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	kind := &graph.Kind{Name: "kind", Artifacts: []graph.Artifact{{File: "out.json", Path: "out.json"}, {File: "adapter/a", Path: "a"}}}
	p := &graph.Planned{Step: graph.Step{Name: "step"}, Kind: kind, Dir: dir, Files: []string{"out.json"}, Done: &graph.Marker{FinishedAt: time.Unix(7, 0), Notes: []string{"a note"}}}
	c := &counted{kept: newMemory(), fails: fails}
	e := &execution{Runner: &Runner{Tracker: c, Engine: &Engine{}, Version: "v"}, run: &experiments.Run{ID: "r"}}
	e.follow([]*graph.Planned{p})
	return e, c, p
}

func TestAFinishedStepsFiguresAndFilesAreThisRunsToo(t *testing.T) {
	points := experiments.MetricBatch{"loss": {{Step: 1, Value: 3}, {Step: 2, Value: 2}}}
	for _, tt := range []struct {
		name   string
		points experiments.MetricBatch
		fails  string
		want   []string
	}{
		{"with figures", points, "", []string{"save reused map[]", "log step/loss", "keep step/out.json: {}", "save reused map[step/loss:2]"}},
		{"without", experiments.MetricBatch{}, "", []string{"save reused map[]", "keep step/out.json: {}", "save reused map[]"}},
		{"the run is not saved", points, "save", []string{"save reused map[]"}},
		{"the figures are not logged", points, "log", []string{"save reused map[]", "log step/loss"}},
		{"a file is not kept", points, "keep", []string{"save reused map[]", "log step/loss", "keep step/out.json: {}"}},
	} {
		e, c, p := oneStep(t, tt.fails)
		err := e.Reuse(t.Context(), p, tt.points)
		if !slices.Equal(c.calls, tt.want) || errors.Is(err, errTracker) != (tt.fails != "") {
			t.Errorf("%s: %q, %v; want %q", tt.name, c.calls, err, tt.want)
		}
		if s := e.run.Steps[0]; s.Output != p.Dir || !s.EndedAt.Equal(p.Done.FinishedAt) || !slices.Equal(s.Notes, p.Done.Notes) {
			t.Errorf("%s: %+v", tt.name, s)
		}
	}
	e, c, p := oneStep(t, "")
	p.Dir = filepath.Join(p.Dir, "gone")
	if err := e.Keep(t.Context(), p); err == nil || !strings.HasPrefix(err.Error(), "artifact step/out.json: ") || len(c.calls) != 0 {
		t.Errorf("a file that is not there: %v, %q", err, c.calls)
	}
}

func TestARunThatIsResumedBeginsEachOfItsCurvesAnewOnce(t *testing.T) {
	one := func(names ...string) experiments.MetricBatch {
		batch := experiments.MetricBatch{}
		for _, n := range names {
			batch[n] = []experiments.Point{{Value: 1}}
		}
		return batch
	}
	batches := []experiments.MetricBatch{one("a"), one("a", "b"), one("a", "b"), {"c": nil}}
	for _, tt := range []struct {
		name    string
		resumed bool
		fails   string
		want    []string
	}{
		{"a new run", false, "", []string{"log a", "log a b", "log a b", "log c"}},
		{"a resumed one", true, "", []string{"restart a", "restart b", "log a", "log a b", "restart c"}},
		{"one whose curves do not begin", true, "restart", []string{"restart a", "restart a b", "restart a b", "restart c"}},
	} {
		e, c, _ := oneStep(t, tt.fails)
		if tt.resumed {
			e.restarted = map[string]bool{}
		}
		for _, b := range batches {
			if err := e.log(t.Context(), b); errors.Is(err, errTracker) != (tt.fails != "") {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		if !slices.Equal(c.calls, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, c.calls, tt.want)
		}
		if want := map[string]float64{"a": 1, "b": 1}; !maps.Equal(e.run.Summary, want) {
			t.Errorf("%s: summary %v", tt.name, e.run.Summary)
		}
	}
}

func TestAStepsEndIsItsStatus(t *testing.T) {
	boom := errors.New("boom")
	for _, tt := range []struct {
		err    error
		cut    bool
		status experiments.Status
		text   string
	}{{nil, false, experiments.Finished, ""}, {boom, true, experiments.Interrupted, ""}, {boom, false, experiments.Failed, "boom"}} {
		e, _, p := oneStep(t, "")
		if err := e.End(t.Context(), p, time.Unix(9, 0), tt.err, tt.cut); err != nil {
			t.Fatal(err)
		}
		if s := e.run.Steps[0]; s.Status != tt.status || s.Error != tt.text || s.EndedAt.Unix() != 9 {
			t.Errorf("%v, cut %v: %+v", tt.err, tt.cut, s)
		}
	}
}

func TestFiftyNotesOfAStepAreKeptAndTheWatcherHearsAll(t *testing.T) {
	e, _, p := oneStep(t, "")
	heard := &said{}
	e.Watcher = heard
	s, err := e.Begin(t.Context(), p, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxNotes + 5 {
		s.Note(fmt.Sprint(i))
	}
	if got := e.run.Steps[0].Notes; len(got) != maxNotes || got[maxNotes-1] != "49" || len(heard.notes) != maxNotes+5 {
		t.Errorf("%d kept, %d heard", len(got), len(heard.notes))
	}
}

func TestTheEnvironmentSaysHowManyThreadsComputeWhereThatApplies(t *testing.T) {
	for threads, want := range map[int]string{0: "", 3: "3"} {
		e, _, _ := oneStep(t, "")
		e.Engine.Device = named{info: device.Info{Name: "d", Threads: threads}}
		if got, ok := e.environment()["threads"]; got != want || ok != (want != "") {
			t.Errorf("%d threads: %q", threads, got)
		}
	}
}

func TestWhatPlanningSaysIsARunsOnceThereIsOne(t *testing.T) {
	for run, want := range map[string]string{"": "[]", "r": "[progress r base]"} {
		c := &counted{kept: newMemory()}
		planTeller{&Runner{Tracker: c}, run, "base"}.Progress(experiments.Progress{})
		if got := fmt.Sprint(c.calls); got != want {
			t.Errorf("run %q: %s", run, got)
		}
	}
}

func TestAReusedTestsModulesAreRecordedToo(t *testing.T) {
	dir := t.TempDir()
	good := metrictest.Good("good", 1)
	e, c, _ := oneStep(t, "")
	c.modules["good"], c.records["good"] = good, experiments.Module{SHA256: "good", Name: "stored"}
	h := host{e.Engine, e}
	if err := h.RecordModules(t.Context(), dir, nil); err == nil || !strings.HasPrefix(err.Error(), "read A/B result: ") {
		t.Errorf("no result: %v", err)
	}
	if err := graph.WriteJSON(filepath.Join(dir, resultsName), experiments.ABResult{Metrics: []experiments.ModuleResult{{SHA256: "good"}}}); err != nil {
		t.Fatal(err)
	}
	if err := h.RecordModules(t.Context(), dir, []Module{{SHA256: "good", Wasm: good}}); err != nil || !slices.Equal(c.calls, []string{"module", "use stored"}) {
		t.Errorf("%q, %v", c.calls, err)
	}
}

// reported keeps what a report is made of.
type reported struct{ in experiments.ReportInput }

func (r *reported) Render(_ context.Context, in experiments.ReportInput, w io.Writer) error {
	r.in = in
	_, err := w.Write([]byte("page"))
	return err
}

func TestAReportShowsTheRunAsItIsWhenTheReportIsThere(t *testing.T) {
	for before, want := range map[experiments.Status]experiments.Status{experiments.Running: experiments.Finished, experiments.Reused: experiments.Reused} {
		e, _, p := oneStep(t, "")
		e.Engine.Device = named{}
		page := &reported{}
		e.Reporter = page
		e.run.Status, e.run.Steps[0].Status = experiments.Running, before
		path := filepath.Join(t.TempDir(), "report.html")
		if err := (host{e.Engine, e}).WriteReport(t.Context(), p, experiments.ReportInput{}, path); err != nil {
			t.Fatal(err)
		}
		s := page.in.Run.Steps[0]
		if page.in.Run.Status != experiments.Finished || s.Status != want || s.EndedAt.IsZero() == (before == experiments.Running) || e.run.Steps[0].Status != before {
			t.Errorf("a step that was %s is shown as %+v; the run's own is %s", before, s, e.run.Steps[0].Status)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != "page" {
			t.Errorf("%q, %v", b, err)
		}
	}
}

func TestModulesThatGaveAMetricAreKeptWithTheRun(t *testing.T) {
	r, _ := newRunner(t)
	good, junk := metrictest.Good("good", 1), []byte("no module")
	result := &experiments.ABResult{Metrics: []experiments.ModuleResult{
		{SHA256: "good", Error: "refused these parameters"}, {SHA256: "good"}, {SHA256: "junk"}, {SHA256: "failed", Error: "it failed"},
	}}
	for _, tt := range []struct {
		name, fails string
		known       bool
		want        []string
		noted       int
	}{
		{"new ones are validated", "", false, []string{"module", "use good", "module"}, 1},
		{"known ones are not", "", true, []string{"module", "use stored", "module", "use stored"}, 0},
		{"a tracker that fails", "module", false, []string{"module"}, 0},
		{"one that does not take it", "use", false, []string{"module", "use good"}, 0},
	} {
		e, c, _ := oneStep(t, tt.fails)
		e.Engine = r.Engine
		if tt.known {
			for _, sum := range []string{"good", "junk"} {
				c.modules[sum], c.records[sum] = good, experiments.Module{SHA256: sum, Name: "stored"}
			}
		}
		modules := []Module{{Name: "a", SHA256: "good", Wasm: good}, {Name: "b", SHA256: "failed", Wasm: good}, {Name: "c", SHA256: "junk", Wasm: junk}}
		var said []string
		err := e.recordModules(t.Context(), result, modules, func(text string) { said = append(said, text) })
		if !slices.Equal(c.calls, tt.want) || len(said) != tt.noted || errors.Is(err, errTracker) != (tt.fails != "") {
			t.Errorf("%s: %q, said %q, %v; want %q", tt.name, c.calls, said, err, tt.want)
		}
		if tt.noted > 0 && !strings.HasPrefix(said[0], "metric c: its module is not kept with the run: ") {
			t.Errorf("%s: %q", tt.name, said)
		}
	}
}
