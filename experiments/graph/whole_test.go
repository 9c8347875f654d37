package graph

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"triality/experiments"
)

// refusing is a recorder whose Begin fails.
type refusing struct{ records }

var errRefused = errors.New("refused")

func (r *refusing) Begin(context.Context, *Planned, time.Time) (Sink, error) {
	return sink{}, errRefused
}

func TestAStepThatCannotBeRecordedDoesNotRun(t *testing.T) {
	b := &bench{}
	p := plan(t, b, t.TempDir(), step("a", "cheap"))
	if err := (Executor{}).Run(t.Context(), p, &refusing{}); !errors.Is(err, errRefused) || len(b.ran) != 0 {
		t.Errorf("%v; ran %v", err, b.ran)
	}
}

func TestARunThatIsCancelledWhileAStepRunsStartsNoOther(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := &bench{}
	b.work = func(context.Context, Work) error { cancel(); return nil } // ends well all the same
	p := plan(t, b, t.TempDir(), step("a", "costly"), step("b", "costly"), step("c", "cheap", "a"))
	if err := (Executor{}).Run(ctx, p, &records{}); err == nil || len(b.ran) != 1 {
		t.Errorf("%v; ran %v", err, b.ran)
	}
}

func TestAStepWithoutMetricsWritesNone(t *testing.T) {
	kinds := (&bench{}).kinds()
	kinds[0].Run = func(_ context.Context, w Work) error { return os.WriteFile(w.File("out"), nil, 0o644) }
	p, err := Graph{Steps: []Step{step("a", "cheap")}}.Make(t.Context(), kinds, env(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	if err := (Executor{}).Run(t.Context(), p, &records{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(p.Steps[0].Dir, MetricsName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a file: %v", err)
	}
}

func TestAStepsBodyIsOfItsKind(t *testing.T) {
	type other struct {
		Depth int `yaml:"depth" doc:"a number"`
	}
	kinds := append([]Kind{{Name: "other", Body: func() any { return &other{} }}}, (&bench{}).kinds()...)
	g, err := Parse("g.yaml", []byte("steps:\n- {name: a, kind: cheap, body: {seed: 3}}\n- {name: b, kind: other, body: {depth: 4}}"), kinds)
	if err != nil {
		t.Fatal(err)
	}
	if g.Steps[0].Body.(*body).Seed != 3 || g.Steps[1].Body.(*other).Depth != 4 {
		t.Errorf("%+v, %+v", g.Steps[0].Body, g.Steps[1].Body)
	}
}

func TestAGraphHasAtMostItsBytes(t *testing.T) {
	text := "steps:\n- {name: a, kind: cheap}\n#"
	text += strings.Repeat("x", MaxFile-len(text))
	if _, err := Parse("g.yaml", []byte(text), (&bench{}).kinds()); err != nil {
		t.Error(err)
	}
	if _, err := Parse("g.yaml", []byte(text+"x"), (&bench{}).kinds()); experiments.CodeOf(err) != experiments.CodeTooLarge {
		t.Errorf("a byte more: %v", err)
	}
}

func TestWhatIsNamedTwiceIsLookedForOnce(t *testing.T) {
	asked := 0
	e := env(t.TempDir())
	look := e.Literal
	e.Literal = func(ctx context.Context, takes []Type, text string) (Value, error) {
		asked++
		return look(ctx, takes, text)
	}
	own := func(name string) Step {
		return Step{Name: name, Kind: "cheap", Body: &body{Text: name, From: []Input{{Text: "there"}, {Text: "there"}}}}
	}
	if _, err := (Graph{Steps: []Step{own("a"), own("b")}}).Make(t.Context(), (&bench{}).kinds(), e); err != nil || asked != 1 {
		t.Errorf("asked %d times, %v", asked, err)
	}
}

func TestAnArtifactOfAStepOfItsOwnNameHasAFolder(t *testing.T) {
	a := Artifact{Path: "abtest/results.json"}
	for name, want := range map[string]string{"abtest": "abtest/results.json", "second": "second/results.json"} {
		if got := a.PathOf(&Planned{Step: Step{Name: name}, Kind: &Kind{Name: "abtest"}}); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestAReferenceInAFieldThatIsNotReadIsNone(t *testing.T) {
	v := struct {
		Kept string `yaml:"kept"`
		Left string `yaml:"-"`
	}{"${a.sum}", "${b.sum}"}
	if got := strayIn(reflect.ValueOf(v), "body", nil); !reflect.DeepEqual(got, []string{"body.kept"}) {
		t.Errorf("%v", got)
	}
}

func TestAFileOfJSONIsReadBackOrNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.json")
	var got map[string]int
	if err := ReadJSON(path, &got); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if err := WriteJSON(path, map[string]int{"a": 1}); err != nil {
		t.Fatal(err)
	}
	if err := ReadJSON(path, &got); err != nil || got["a"] != 1 {
		t.Errorf("%v, %v", got, err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := ReadJSON(path, &got); err == nil || !strings.HasPrefix(err.Error(), path+": ") {
		t.Errorf("a broken file: %v", err)
	}
	if err := WriteJSON(path, func() {}); err == nil || !strings.Contains(err.Error(), "encode "+path) {
		t.Errorf("what JSON has no word for: %v", err)
	}
}

func TestTheMetricsOfAllStepsBeforeOneAreItsSeries(t *testing.T) {
	b, dir := &bench{}, t.TempDir()
	p := plan(t, b, dir, step("a", "cheap"), step("b", "cheap", "a"), step("c", "cheap", "b"), step("d", "cheap"))
	if err := (Executor{}).Run(t.Context(), p, &records{}); err != nil {
		t.Fatal(err)
	}
	i := 0
	for p.Steps[i].Name != "c" {
		i++
	}
	got, err := Work{Step: p.Steps[i]}.Series()
	if err != nil || len(got) != 2 || len(got["a/x/a"]) != 1 || len(got["b/x/b"]) != 1 { // under the steps' names: several are of the kind
		t.Errorf("%v, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(p.Steps[i].needs[0].Dir, MetricsName), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := (Work{Step: p.Steps[i]}).Series(); err == nil {
		t.Error("a broken file is taken")
	}
}

func TestPointsThatAreNotFiniteAreKept(t *testing.T) {
	dir := t.TempDir()
	want := experiments.MetricBatch{"loss": {{Step: 1, Time: 2, Value: 0.1}, {Step: 2, Time: 3, Value: math.NaN()}, {Step: 3, Value: math.Inf(1)}, {Step: 4, Value: math.Inf(-1)}}}
	if err := writeMetrics(dir, want); err != nil {
		t.Fatal(err)
	}
	got, err := ReadMetrics(dir)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("kept as %v, want %v", got, want)
	}
}
