package kinds

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/graph"
)

// runs is an engine of which only the tracker's runs can be read.
type runs struct {
	Engine
	rows   experiments.Rows
	series map[string][]experiments.Point
	files  map[string]string
}

func (r *runs) FindRuns(_ context.Context, q experiments.RunQuery) (experiments.Rows, error) {
	if q.Filter == "bad(" {
		return experiments.Rows{}, experiments.Errorf(experiments.CodeInvalid, "filter: wants a closing parenthesis")
	}
	if q.Filter == "nothing" {
		return experiments.Rows{Columns: []string{"name", "experiment", "status"}}, nil
	}
	return r.rows, nil
}
func (r *runs) RunSeries(_ context.Context, run, metric string) ([]experiments.Point, error) {
	return r.series[run+" "+metric], nil
}
func (r *runs) RunFile(_ context.Context, run, path string) ([]byte, error) {
	if text, ok := r.files[run+" "+path]; ok {
		return []byte(text), nil
	}
	return nil, experiments.Errorf(experiments.CodeNotFound, "no artifact %s", path)
}

// logging is a kind that logs a curve.
func logging() graph.Kind {
	k := toy()
	k.Name = "logging"
	run := k.Run
	k.Run = func(ctx context.Context, w graph.Work) error {
		var points []experiments.Point
		for i := range 5000 {
			points = append(points, experiments.Point{Step: int64(i), Value: 1 / float64(i+1)})
		}
		if err := w.Sink.Metrics(experiments.MetricBatch{"train/loss": points, "eval/f1": {{Step: 9, Value: 0.625}}}); err != nil {
			return err
		}
		return run(ctx, w)
	}
	return k
}

// shownOf plans a graph and gives what its cheap steps show.
func shownOf(t *testing.T, text string, list []graph.Kind, dir string) (*graph.Plan, map[string]graph.Shown) {
	t.Helper()
	h := &heard{}
	g, err := graph.Parse("g.yaml", []byte(text), list)
	if err != nil {
		t.Fatal(err)
	}
	p, err := g.Make(t.Context(), list, graph.Env{Dir: dir, Device: "cpu", Tell: func(*graph.Planned) graph.Teller { return h },
		Literal: func(_ context.Context, _ []graph.Type, text string) (graph.Value, error) {
			return graph.Value{Path: text, Key: text}, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]graph.Shown{}
	for s, shown := range p.Show(t.Context()) {
		out[s.Name] = shown
	}
	return p, out
}

// result is an A/B result of eight rows, of which B has seven right and A two.
func result(t *testing.T) string {
	t.Helper()
	r := experiments.ABResult{Rows: 8, Arms: [2]experiments.ArmResult{{Name: "A", Model: "one"}, {Name: "B", Model: "two"}}}
	for i := range 8 {
		s := experiments.Sample{Index: i, Group: string(rune('a' + i)), Text: "row " + string(rune('a'+i)), Language: "en", Label: "ALLOW", PredictionA: "DENY", PredictionB: "ALLOW"}
		switch i {
		case 0:
			s.PredictionA = "ALLOW"
		case 1:
			s.PredictionA, s.PredictionB = "ALLOW", "DENY"
		}
		r.Samples = append(r.Samples, s)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "results.json")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCheapKindsShowWhatOthersGaveAndARunWritesTheSame(t *testing.T) {
	path := result(t)
	ab, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	e := &runs{
		rows:   experiments.Rows{Columns: []string{"name", "experiment", "status", "f1"}, Rows: [][]any{{"x", "e", "finished", 0.5}, {"y", "e", "finished", 0.75}}, Runs: []string{"1", "2"}, Total: 2},
		series: map[string][]experiments.Point{"1 loss": {{Step: 1, Value: 2}, {Step: 2, Value: 1}}},
		files:  map[string]string{"1 abtest/results.json": string(ab)},
	}
	list := append(All(e), logging())
	text := `steps:
  - {name: n, kind: input, body: {value: 3, min: 1, max: 9, step: 1}}
  - {name: log, kind: logging, body: {most: "${n.value}"}}
  - {name: line, kind: chart, body: {of: "${log.metrics.train/loss}"}}
  - {name: bars, kind: chart, body: {of: ["${log.metrics}"], type: bar}}
  - {name: last, kind: table, body: {of: "${log.metrics}", order_by: last DESC, columns: [metric, last]}}
  - {name: q, kind: query, body: {columns: [f1]}}
  - {name: best, kind: table, body: {of: "${q.rows}", order_by: f1 DESC, limit: 1}}
  - {name: points, kind: chart, body: {of: "${best.rows}", type: scatter, x: f1, y: [f1]}}
  - {name: curves, kind: chart, body: {runs: x, y: [loss]}}
  - {name: wrong, kind: samples, body: {result: PATH, show: broken}}
  - {name: mine, kind: samples, body: {run: x, show: all, contains: ROW C}}
  - {name: arms, kind: compare, body: {result: PATH}}
  - {name: two, kind: compare, body: {runs: [x, x], arm: A}}
  - {name: prose, kind: note, body: {text: "f1 {{log.metrics.eval/f1}} at {{ n.value }}"}}
`
	text, dir := strings.ReplaceAll(text, "PATH", path), t.TempDir()
	p, shown := shownOf(t, text, list, dir)
	for _, name := range []string{"line", "bars", "last", "prose"} {
		if s := shown[name]; s.Value != nil || strings.Join(s.Waits, ",") != "log" {
			t.Errorf("%s before log has run: %s, waits %v, %v", name, s.Value, s.Waits, s.Err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("showing wrote %v, %v", entries, err)
	}
	if err := (graph.Executor{}).Run(t.Context(), p, &heard{}); err != nil {
		t.Fatal(err)
	}
	p, shown = shownOf(t, text, list, dir)
	for name, want := range map[string][]string{
		"n":      {`"value":3`, `"control":"slider"`},
		"line":   {`"name":"log · train/loss"`, `"x":[0,`, `,4999]`},
		"bars":   {`"labels":["eval/f1","train/loss"]`, `"y":[0.625,0.0002]`},
		"last":   {`"rows":[["eval/f1",0.625],["train/loss",0.0002]]`},
		"best":   {`"rows":[["y","e","finished",0.75]]`, `"runs":["2"]`, `"total":2`},
		"points": {`"x":[0.75]`, `"labels":["y"]`},
		"curves": {`{"name":"x","x":[1,2],"y":[2,1]}`},
		"wrong":  {`"text":"row b"`, `"total":1`, `"fixed":6`, `"both_right":1`},
		"mine":   {`"text":"row c"`, `"total":1`, `"run":"1"`},
		"arms":   {`"model","a":"one","b":"two"`, `"rows":8`, `"delta"`},
		"two":    {`"a":"x A"`, `"rows":8`, `"inference":{`},
		"prose":  {`"text":"f1 0.625 at 3"`},
	} {
		for _, part := range want {
			if !strings.Contains(string(shown[name].Value), part) {
				t.Errorf("%s shows %.600s; want %s; %v", name, shown[name].Value, part, shown[name].Err)
			}
		}
	}
	for _, s := range p.Steps {
		if s.Kind.Show == nil {
			continue
		}
		var written, now any
		if err := graph.ReadJSON(filepath.Join(s.Dir, s.Files[0]), &written); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(shown[s.Name].Value, &now); err != nil {
			t.Fatal(err)
		}
		a, _ := json.Marshal(written)
		b, _ := json.Marshal(now)
		if string(a) != string(b) {
			t.Errorf("%s: the run wrote %.200s, the page shows %.200s", s.Name, a, b)
		}
	}
}

func TestWhatTheTrackerAnswersIsAPartOfTheKey(t *testing.T) {
	e := &runs{rows: experiments.Rows{Columns: []string{"name", "experiment", "status"}, Rows: [][]any{{"x", "e", "running"}}, Runs: []string{"1"}}}
	keys := func() (out []string) {
		p, _ := shownOf(t, "steps: [{name: q, kind: query}, {name: t, kind: table, body: {of: \"${q.rows}\"}}]", append(All(e), toy()), t.TempDir())
		for _, s := range p.Steps {
			out = append(out, s.Key)
		}
		return out
	}
	before := keys()
	if again := keys(); before[0] != again[0] || before[1] != again[1] {
		t.Errorf("the same answer has other keys")
	}
	e.rows.Rows[0][2] = "finished"
	if after := keys(); before[0] == after[0] || before[1] == after[1] {
		t.Errorf("another answer has the same keys")
	}
}

func TestAnInputStandsForItsValueAndIsNeeded(t *testing.T) {
	list := append(All(nil), toy())
	const text = "steps:\n  - {name: n, kind: input, body: {value: %}}\n  - {name: one, kind: toy, body: {most: \"${n.value}\"}}\n"
	p, _ := shownOf(t, strings.ReplaceAll(text, "%", "4"), list, t.TempDir())
	plain, _ := shownOf(t, "steps: [{name: one, kind: toy, body: {most: 4}}]", list, t.TempDir())
	if p.Steps[1].Key != plain.Steps[0].Key {
		t.Error("the reference and the value have other keys")
	}
	if got := p.Steps[1].Needs(); len(got) != 1 || got[0] != "n" {
		t.Errorf("one needs %v", got)
	}
	g, err := graph.Parse("g.yaml", []byte(strings.ReplaceAll(text, "%", "4")), list, "n.value=5")
	if err != nil || g.Steps[1].Body.(*toyBody).Most != 5 {
		t.Errorf("%+v, %v", g.Steps, err)
	}
	for value, want := range map[string]string{
		"10":                 "g.yaml:3: most: must be at least 1 and at most 9, is 10", // where it is used
		"true":               `g.yaml:3: most: want a whole number, have "true"`,
		"[1]":                "value: want a number, a text, true or false",
		"3, max: 2":          "value: must be from 0 to 2, is 3",
		"x, choices: [a, b]": "value: is x; choices has [a b]",
		"2, min: 3":          "value: nothing is between min 3 and max 0",
		"1, stp: 1":          "g.yaml:2: stp: unknown key; the nearest known key is step",
	} {
		g, err := graph.Parse("g.yaml", []byte(strings.ReplaceAll(text, "%", value)), list)
		if err == nil {
			_, err = g.Make(t.Context(), list, graph.Env{Dir: t.TempDir(), Tell: func(*graph.Planned) graph.Teller { return &heard{} }})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("value %s: %v, want %q", value, err, want)
		}
	}
}

func TestMistakesOfCheapKindsHaveTheirCellKeyAndLine(t *testing.T) {
	path, dir := result(t), t.TempDir()
	e := &runs{rows: experiments.Rows{Columns: []string{"name", "experiment", "status"}, Rows: [][]any{{"x", "e", "finished"}}, Runs: []string{"1"}}}
	list := append(All(e), logging())
	p, _ := shownOf(t, "steps: [{name: log, kind: logging}]", list, dir)
	if err := (graph.Executor{}).Run(t.Context(), p, &heard{}); err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]string{
		"kind: chart\n    body:\n      of: ${log.metrics.train/los}":                  "g.yaml:6: c: of[0]: ${log.metrics.train/los}: the step logged no metric train/los; the nearest is train/loss",
		"kind: chart\n    body:\n      of: ${log.words.x}":                            "g.yaml:6: c: of[0]: ${log.words.x}: step log is of kind logging, which gives words",
		"kind: chart\n    body:\n      of: ${lgo.metrics}":                            "g.yaml:6: c: of[0]: ${lgo.metrics}: there is no step lgo",
		"kind: chart\n    body: {}":                                                   "c: of: is needed, or runs",
		"kind: chart\n    body:\n      type: pie":                                     "g.yaml:6: type: want line, bar, scatter",
		"kind: chart\n    body:\n      runs: x":                                       "g.yaml:6: c: runs: y is needed with it",
		"kind: chart\n    body:\n      runs: x\n      y: [loss]":                      "g.yaml:6: c: runs: of 1 runs that it finds none has loss",
		"kind: query\n    body:\n      limit: 5\n      filter: bad(":                  "g.yaml:7: c: filter: filter: wants a closing parenthesis",
		"kind: table\n    body:\n      of: ${log.metrics}\n      columns: [lst]":      "g.yaml:7: c: columns: there is no column lst; the nearest is last",
		"kind: table\n    body:\n      of: ${log.metrics}\n      order_by: b":         "g.yaml:7: c: order_by: there is no column b; there are last, metric, points, step",
		"kind: compare\n    body:\n      runs: [nothing, x]":                          "g.yaml:6: c: runs: \"nothing\" finds no run with an A/B test, of 0 runs",
		"kind: compare\n    body:\n      runs: [x, x]":                                "g.yaml:6: c: runs: \"x\" finds no run with an A/B test, of 1 runs",
		"kind: compare\n    body:\n      runs: [x]":                                   "g.yaml:6: c: runs: want two searches, have 1",
		"kind: compare\n    body:\n      result: PATH\n      arm: A":                  "g.yaml:7: c: arm: say which arms",
		"kind: samples\n    body:\n      run: nothing":                                "g.yaml:6: c: run: \"nothing\" finds no run with an A/B test",
		"kind: samples\n    body:\n      result: PATH\n      show: bad":               "g.yaml:7: show: want differ, fixed, broken, both_wrong, all",
		"kind: note\n    body:\n      text: |\n        Words\n        {{log.f1}} and": "g.yaml:6: c: text: {{log.f1}}: step log has no value f1",
		"kind: note\n    body:\n      text: |\n        Words\n        {{lgo.f1}} and": "g.yaml:8: c: text: {{lgo.f1}}: there is no step lgo",
	} {
		text := "steps:\n  - {name: log, kind: logging}\n  - name: c\n    " + strings.ReplaceAll(body, "PATH", path) + "\n"
		g, err := graph.Parse("g.yaml", []byte(text), list)
		var p *graph.Plan
		if err == nil {
			p, err = g.Make(t.Context(), list, graph.Env{Dir: dir, Device: "cpu", Tell: func(*graph.Planned) graph.Teller { return &heard{} },
				Literal: func(_ context.Context, _ []graph.Type, text string) (graph.Value, error) {
					return graph.Value{Path: text, Key: text}, nil
				}})
		}
		if err == nil {
			for _, s := range p.Show(t.Context()) {
				if s.Err != nil {
					err = s.Err
				}
			}
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n  %v\n  want %q", body, err, want)
		}
	}
}
