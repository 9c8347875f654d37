package pipeline

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/graph"
	"triality/experiments/pipeline/metrictest"
)

// pair is a graph of two fine-tunes that do not depend on each other, and a comparison.
const pair = `name: pair
output_dir: work
device: cpu
devices: 2
threads: 2
seed: 5
steps:
  - {name: rows, kind: convert, body: {data: {input_path: rows.jsonl, max_length: 96}, base_model: base}}
  - {name: low, kind: finetune, body: {base_model: base, dataset: "${rows.dataset}", training: {num_train_epochs: 1, logging_steps: 1, lora_r: 2}}}
  - {name: high, kind: finetune, body: {base_model: base, dataset: "${rows.dataset}", training: {num_train_epochs: 1, logging_steps: 1, lora_r: 4}}}
  - {name: compare, kind: abtest, body: {model_a: "${low.model}", model_b: "${high.model}", test_data: "${rows.dataset}", test: {bootstrap_resamples: 100}, max_length: 96}}
`

// inPair makes a folder with what pair names the working one.
func inPair(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	writeRows(t, "rows.jsonl", 64)
	if err := InitModel("base", "llama", "micro", 320, []string{"open the window please, sell me the secret"}, 1); err != nil {
		t.Fatal(err)
	}
	return dir
}

func parsed(t *testing.T, text string, set ...string) Spec {
	t.Helper()
	s, err := ParseSpec("pair.yaml", []byte(text), set...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// runPair runs a spec with devices of its own.
func runPair(t *testing.T, s Spec, w Watcher) (experiments.Run, *kept) {
	t.Helper()
	r, tracker := newRunner(t)
	devices, _, err := OpenDevices(s.Pipeline, nil, s.Devices, s.Together())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := devices.Close(); err != nil {
			t.Error(err)
		}
	})
	r.Engine.Devices, r.Engine.Device, r.Watcher = devices, devices.First(), w
	run, _, err := r.RunSpec(t.Context(), s, RunOptions{})
	if err != nil {
		t.Fatalf("%v: %s", err, statuses(run))
	}
	return run, tracker
}

func TestStepsSideBySideGiveTheBytesOfOneAfterTheOther(t *testing.T) {
	dir := inPair(t)
	together := parsed(t, pair)
	run, tracker := runPair(t, together, nil)
	if statuses(run) != "convert finished, finetune finished, finetune finished, abtest finished" {
		t.Fatal(statuses(run))
	}
	low, high := run.Steps[1], run.Steps[2]
	if low.Name != "low" || high.Name != "high" || low.Key == high.Key || !low.StartedAt.Before(high.EndedAt) || !high.StartedAt.Before(low.EndedAt) {
		t.Errorf("they did not run side by side: %+v, %+v", low, high)
	}
	points := tracker.points[run.ID]
	if len(points["low/train/loss"]) == 0 || len(points["high/train/loss"]) == 0 || len(points["train/loss"]) > 0 || len(points["abtest/mcnemar_p"]) != 1 {
		t.Errorf("series %v", slices.Sorted(maps.Keys(points)))
	}
	for _, path := range []string{"low/adapter_config.json", "high/adapter_model.safetensors", "abtest/results.json", "convert/summary.json"} {
		if len(tracker.artifacts[run.ID+"/"+path]) == 0 {
			t.Errorf("there is no artifact %s", path)
		}
	}
	if run.Params["low.training.lora_r"] != "2" || run.Params["high.base_model"] != "base" || run.Params["low.seed"] != "5" || run.Params["low.training.lora_alpha"] != "" {
		t.Errorf("parameters %v", run.Params)
	}

	apart := parsed(t, pair, "devices=1", "output_dir=apart")
	second, _ := runPair(t, apart, nil)
	if a, b := second.Steps[1], second.Steps[2]; b.StartedAt.Before(a.EndedAt) && a.StartedAt.Before(b.EndedAt) {
		t.Error("on one device two costly steps ran side by side")
	}
	a, b := weights(t, filepath.Join(dir, "work")), weights(t, filepath.Join(dir, "apart"))
	if len(a) != 4 || !maps.Equal(a, b) {
		t.Errorf("weights differ: %v and %v", slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b)))
	}
}

func TestAGraphIsTakenOverPlannedAndRerunWhereItChanged(t *testing.T) {
	inPair(t)
	first, tracker := runPair(t, parsed(t, pair), nil)
	r, _ := newRunner(t)
	r.Tracker = tracker
	again, upToDate, err := r.RunSpec(t.Context(), parsed(t, pair), RunOptions{})
	if err != nil || !upToDate || again.ID != first.ID {
		t.Errorf("%v, up to date %v, run %s", err, upToDate, again.ID)
	}
	r.Engine.Device = nil // planning needs none
	steps, err := r.Plan(t.Context(), parsed(t, pair, "high.training.lora_r=8"))
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for i, s := range steps {
		if s.TakenOver != (i < 2) || (s.Seconds <= 0) || s.Output == "" || s.Key == "" {
			t.Errorf("%+v", s)
		}
		if !s.TakenOver {
			left = append(left, s.Name+" "+s.Cost+" after "+strings.Join(s.Needs, " "))
		}
	}
	if got := strings.Join(left, ", "); got != "high costly after rows, compare costly after low high rows" {
		t.Errorf("left to do: %s", got)
	}
	if _, err := os.Stat(steps[2].Output); err == nil {
		t.Error("planning made a folder")
	}
	r, _ = newRunner(t)
	r.Tracker = tracker
	run, upToDate, err := r.RunSpec(t.Context(), parsed(t, pair, "high.training.lora_r=8"), RunOptions{})
	if err != nil || upToDate || statuses(run) != "convert reused, finetune reused, finetune finished, abtest finished" {
		t.Errorf("%v, %s", err, statuses(run))
	}
	if parsed(t, run.Config).Graph.Steps[2].Body == nil || !strings.Contains(run.Config, "lora_r: 8") {
		t.Errorf("the run keeps %s", run.Config)
	}
	if len(tracker.points[run.ID]["low/train/loss"]) == 0 {
		t.Error("the curves of a step that was taken over are not in the run")
	}
}

func TestAPipelinesPlanIsThatOfItsRun(t *testing.T) {
	dir, r, _ := afterOneRun(t)
	steps, err := r.Plan(context.Background(), FiveSteps(smallConfig(t, dir)))
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range steps {
		if have := firstRun(t).Steps[i]; s.Name != have.Kind || s.Key != have.Key || !s.TakenOver {
			t.Errorf("planned %+v, ran %+v", s, have)
		}
	}
	if len(steps) != 6 {
		t.Errorf("%d steps", len(steps))
	}
}

func TestWhatAGraphNamesIsLookedForBeforeAnythingRuns(t *testing.T) {
	inPair(t)
	r, _ := newRunner(t)
	if err := os.WriteFile("texts.wasm", metrictest.NeedsTexts("texts", 0.5), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ set, want string }{
		{"low.base_model=nowhere", "pair.yaml:9: low: base_model: nowhere: no such model folder"},
		{"low.dataset=nowhere.jsonl", "low: dataset: "},
		{"low.dataset=base", "low: dataset: "},
		{"rows.data.input_path=none.jsonl", "rows: data.input_path: read rows: no file matches none.jsonl"},
		{"compare.test.metrics=[{module: none.wasm}]", "compare: metric module none.wasm: no such file"},
		{"compare.test.metrics=[{module: texts.wasm}]", "compare: test.metrics[0] (texts.wasm): metric texts needs"},
		{"low.numbers.bf16=true", "low: numbers.bf16: give training.bf16 instead"},
		{"compare.test.model_a_path=x", "compare: test.model_a_path: give model_a instead"},
	} {
		_, err := r.Plan(t.Context(), parsed(t, pair, tt.set))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.set, err, tt.want)
		}
		if code := experiments.CodeOf(err); code != experiments.CodeInvalid && code != experiments.CodeNotFound {
			t.Errorf("%s: code %s", tt.set, code)
		}
	}
}

func TestRowsThatAreMissingAreNamedByTheKeyThatNamesThem(t *testing.T) {
	t.Chdir(t.TempDir())
	r, _ := newRunner(t)
	for _, tt := range []struct{ body, want string }{
		{"create: {shape: micro, text: none.jsonl}", "pair.yaml:3: own: create.text: read rows: no file matches none.jsonl"},
		{"create: {shape: micro}, rows: {input_path: none.jsonl}", "pair.yaml:3: own: rows.input_path: read rows: no file matches none.jsonl"},
	} {
		_, err := r.Plan(t.Context(), parsed(t, "output_dir: runs\nsteps:\n  - {name: own, kind: base, body: {base_model: made, "+tt.body+"}}\n"))
		if err == nil || !strings.Contains(err.Error(), tt.want) || experiments.CodeOf(err) != experiments.CodeNotFound {
			t.Errorf("%s: %v, want %q", tt.body, err, tt.want)
		}
	}
}

func TestTwoResultsAreJoinedOnTheSameRows(t *testing.T) {
	text := func(s string) *string { return &s }
	result := func(mark string) *experiments.ABResult {
		r := &experiments.ABResult{}
		for i := range 3 {
			r.Samples = append(r.Samples, experiments.Sample{Index: i, Text: string(rune('a' + i)), Label: "ALLOW", PredictionA: mark + "A", PredictionB: mark + "B", OutputA: text(mark + "a"), OutputB: text(mark + "b")})
		}
		return r
	}
	for _, tt := range []struct {
		arms       [2]string
		predicted  [2]string
		outA, outB string
	}{
		{[2]string{"B", "B"}, [2]string{"1B", "2B"}, "1b", "2b"}, {[2]string{"A", "B"}, [2]string{"1A", "2B"}, "1a", "2b"}, {[2]string{"B", "A"}, [2]string{"1B", "2A"}, "1b", "2a"},
	} {
		out, err := joined(result("1"), result("2"), tt.arms)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range out.Samples {
			if s.PredictionA != tt.predicted[0] || s.PredictionB != tt.predicted[1] || *s.OutputA != tt.outA || *s.OutputB != tt.outB {
				t.Errorf("%v: %+v", tt.arms, s)
			}
		}
	}
	other := result("2")
	other.Samples[1].Label = "DENY"
	if _, err := joined(result("1"), other, [2]string{"B", "B"}); err == nil || !strings.Contains(err.Error(), "row 1 of result and of other differ") {
		t.Errorf("%v", err)
	}
	other.Samples = other.Samples[:2]
	if _, err := joined(result("1"), other, [2]string{"B", "B"}); err == nil || !strings.Contains(err.Error(), "result has 3 rows and other 2") {
		t.Errorf("%v", err)
	}
}

func TestASpecIsAPipelineOrAGraph(t *testing.T) {
	for text, graph := range map[string]bool{pair: true, "steps: []": true, "name: x\ndata: {input_path: a}\nmodel: {base_model: b}": false, "": false, "a: [": false} {
		s, err := ParseSpec("x.yaml", []byte(text))
		if err == nil && (s.Graph != nil) != graph {
			t.Errorf("%.20q is a graph: %v", text, s.Graph != nil)
		}
		if err != nil && experiments.CodeOf(err) != experiments.CodeInvalid {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	s := parsed(t, pair)
	if s.Name != "pair" || s.OutputDir != "work" || s.Device != "cpu" || s.Devices != 2 || s.Threads != 2 || s.Training.LoraR != config.Default().Training.LoraR {
		t.Errorf("%+v", s)
	}
}

func TestShippedConfigurationsAreValid(t *testing.T) {
	files, err := filepath.Glob("../../configs/*.yaml")
	graphs := 0
	for _, f := range files {
		s, err := LoadSpec(f)
		if err != nil {
			t.Error(err)
		}
		if s.Graph != nil {
			graphs++
		}
	}
	if err != nil || graphs == 0 || graphs == len(files) {
		t.Errorf("%d of %d configurations are graphs, %v", graphs, len(files), err)
	}
}

func TestAModelOfAGraphIsAFolderOrOfTheHubAndAResultItsFolderOrFile(t *testing.T) {
	r, _ := newRunner(t)
	dir := filepath.Join(t.TempDir(), "base")
	chatBase(t, dir)
	_, commit := inHub(t, r.Engine, "org/there", dir)
	l := &literals{runner: r, found: sources{}}
	for text, want := range map[string]string{dir: dir, "org/there": "org/there@" + commit} {
		v, err := l.of(t.Context(), []graph.Type{graph.Model}, text)
		if err != nil || v.Path != want || v.Key == "" {
			t.Errorf("%s: %+v, %v", text, v, err)
		}
	}
	if len(l.found) != 1 || l.found["org/there"].Commit != commit {
		t.Errorf("of the Hub: %v", l.found)
	}
	file := filepath.Join(dir, "config.json")
	for name, want := range map[string]string{dir: filepath.Join(dir, resultsName), file: file, "none": "none"} {
		if got := ResultFile(name); got != want {
			t.Errorf("the result %s is %s, want %s", name, got, want)
		}
	}
}
