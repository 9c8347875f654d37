package pipeline

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/dataset"
	"triality/experiments/pipeline/metrictest"
	"triality/runtime/generate"
	"triality/runtime/metricabi"
)

// textRows are rows whose own answers are no class words.
func textRows(t *testing.T, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rows.jsonl")
	writeRows(t, path, n)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	for i, line := range lines {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		row["output"] = "I would say: " + strings.ToLower(row["output"].(string))
		row["difficulty"] = float64(i) / 2
		out, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		lines[i] = string(out)
	}
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBothArmsWriteTextsAndMetricsReadThem(t *testing.T) {
	dir, r, _ := afterOneRun(t)
	models, err := filepath.Glob(filepath.Join(dir, "work", "replace", "*", "model"))
	if err != nil || len(models) != 1 {
		t.Fatal(models, err)
	}
	rows := textRows(t, 16)
	test := func(g config.Generate, modules ...Module) *experiments.ABResult {
		t.Helper()
		result, err := r.Engine.ABTest(t.Context(), ABTestOptions{
			ModelA: firstBase(t, dir), ModelB: models[0], TestData: rows, OutDir: t.TempDir(), Format: "instruction", MaxLength: 96,
			Test: config.Test{Warmup: 1, Resamples: 100, Generate: g}, Seed: 7, Modules: modules,
		}, &notes{})
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	plain, greedy := test(config.Generate{}), test(config.Generate{MaxNewTokens: 6}, Module{Name: "texts", SHA256: "x", Wasm: metrictest.NeedsTexts("texts", 1)})
	if m := greedy.Metrics[0]; m.Error != "" || m.Outputs[0].Values[0] != 1 {
		t.Errorf("%+v", m)
	}
	for i, s := range greedy.Samples {
		if s.OutputA == nil || s.OutputB == nil || plain.Samples[i].OutputA != nil {
			t.Fatalf("row %d: texts %v and %v, without being asked %v", i, s.OutputA, s.OutputB, plain.Samples[i].OutputA)
		}
		if !strings.HasPrefix(s.Reference, "I would say: ") || experiments.LabelIndex(s.PredictionA) < 0 || s.PredictionA != plain.Samples[i].PredictionA {
			t.Errorf("row %d: reference %q, prediction %q", i, s.Reference, s.PredictionA)
		}
		if n := len(s.LogProbA); n > 6 || n == 0 && *s.OutputA != "" || slices.ContainsFunc(s.LogProbA, func(v float32) bool { return !(v <= 0) }) {
			t.Errorf("row %d: log-probabilities %v", i, s.LogProbA)
		}
	}
	table, err := metricTable(greedy.Samples, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range table.Columns {
		for i, s := range greedy.Samples {
			switch {
			case c.Role == metricabi.RoleOutput && c.Arm == metricabi.ArmA && c.String(i) != *s.OutputA,
				c.Role == metricabi.RoleOutput && c.Arm == metricabi.ArmB && c.String(i) != *s.OutputB,
				c.Name == "reference" && c.String(i) != s.Reference,
				c.Role == metricabi.RolePrediction && c.Arm == metricabi.ArmA && experiments.Labels[c.Int32[i]] != s.PredictionA:
				t.Errorf("row %d of %s %s %s is not the sample's", i, c.Role, c.Arm, c.Name)
			}
		}
	}
	// The texts are the models' own, one by one, whatever they are batched with; the SO8T arm's too.
	var stored dataset.Row
	file, err := dataset.Read(t.Context(), rows, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	for which, folder := range []string{firstBase(t, dir), models[0]} {
		a, err := openArm(r.Engine.Device, r.Engine.Storage, Source{Dir: folder, Name: folder}, "instruction", 96)
		if err != nil {
			t.Fatal(err)
		}
		for i := range file.Rows {
			stored = file.Rows[i]
			ids, err := a.prompt(&stored)
			if err != nil {
				t.Fatal(err)
			}
			alone, err := a.engine.Generate(t.Context(), generate.Request{Prompt: ids, MaxNew: 6, End: a.end, Decoder: a.tok.NewDecoder(true)})
			if err != nil {
				t.Fatal(err)
			}
			if got := *[]*string{greedy.Samples[i].OutputA, greedy.Samples[i].OutputB}[which]; got != alone.Text {
				t.Errorf("arm %d, row %d: %q, alone %q", which, i, got, alone.Text)
			}
		}
		if err := a.close(); err != nil {
			t.Fatal(err)
		}
	}
	drawn := config.Generate{MaxNewTokens: 6, Temperature: 3}
	one, two := test(drawn), test(drawn)
	differs := false
	for i := range one.Samples {
		if *one.Samples[i].OutputA != *two.Samples[i].OutputA || *one.Samples[i].OutputB != *two.Samples[i].OutputB {
			t.Errorf("row %d: the same seed draws other texts", i)
		}
		differs = differs || *one.Samples[i].OutputA != *greedy.Samples[i].OutputA
	}
	if !differs {
		t.Error("a temperature of 3 changes nothing")
	}
	if _, err := r.Engine.ABTest(t.Context(), ABTestOptions{ModelA: firstBase(t, dir), ModelB: models[0], TestData: rows, OutDir: t.TempDir(), Format: "instruction",
		MaxLength: 96, Test: config.Test{Resamples: 100, Generate: config.Generate{MaxNewTokens: 1 << 20}}}, &notes{}); err == nil || !strings.Contains(err.Error(), "positions") {
		t.Errorf("more tokens than positions: %v", err)
	}
}

func TestAMetricThatNeedsTextsIsRefusedBeforeAnythingIsComputed(t *testing.T) {
	dir := t.TempDir()
	writeRows(t, filepath.Join(dir, "rows.jsonl"), 64)
	r, tracker := newRunner(t)
	for name, c := range map[string]struct {
		modules map[string][]byte
		want    []string
	}{
		"texts":          {map[string][]byte{"texts": metrictest.NeedsTexts("texts", 1)}, []string{"test.metrics[0]", "texts.wasm", "test.generate.max_new_tokens"}},
		"the same twice": {map[string][]byte{"a": metrictest.Good("x", 1), "b": metrictest.Good("x", 1)}, []string{"test.metrics[1]", "test.metrics[0]"}},
	} {
		_, _, err := r.Run(context.Background(), smallConfig(t, dir, metricFiles(t, c.modules)), RunOptions{})
		if experiments.CodeOf(err) != experiments.CodeInvalid || slices.ContainsFunc(c.want, func(s string) bool { return !strings.Contains(err.Error(), s) }) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if len(tracker.runs) != 0 || exists(filepath.Join(dir, "work")) {
		t.Errorf("runs %v", tracker.runs)
	}
	// On a finished test without texts, it is the metric that fails.
	sample := experiments.Sample{Label: "ALLOW", PredictionA: "ALLOW", PredictionB: "DENY", ProbabilityA: make([]float64, 4), ProbabilityB: make([]float64, 4)}
	try := func(wasm []byte, s experiments.Sample) string {
		return r.Engine.EvaluateModule(t.Context(), Module{Name: "m", Wasm: wasm}, &experiments.ABResult{Samples: []experiments.Sample{s}}).Error
	}
	if got := try(metrictest.NeedsTexts("texts", 1), sample); !strings.Contains(got, "wrote no texts") || !strings.Contains(got, "max_new_tokens") {
		t.Errorf("%q", got)
	}
	wrote := sample
	wrote.OutputA = &sample.Label
	if got := try(metrictest.NeedsTexts("texts", 1), wrote); !strings.Contains(got, "(reference), which results of an earlier version do not keep") {
		t.Errorf("a result of before references were kept: %q", got)
	}
	wrote.Reference = "an answer"
	if got := try(metrictest.NeedsTexts("texts", 1), wrote); got != "" {
		t.Errorf("with both: %q", got)
	}
}

func TestAMetricReadsTheRowsOwnColumnsByName(t *testing.T) {
	samples := []experiments.Sample{
		{Columns: map[string]any{"n": 2.5, "whole": 3.0, "text": "a", "mixed": "x", "flag": true}, Label: "DENY"},
		{Columns: map[string]any{"n": "4", "whole": "7", "text": 5.0, "mixed": 1.0, "flag": false}, Label: "ALLOW"},
		{Columns: map[string]any{"n": nil}, Label: "ALLOW"},
	}
	for i := range samples {
		samples[i].Index = i
	}
	column := func(name string, dtype metricabi.DType) (metricabi.Column, bool, error) {
		return ownColumn(samples, metricabi.Need{Role: metricabi.RoleExtra, Name: name, DType: dtype})
	}
	if c, ok, err := column("n", metricabi.F64); err != nil || !ok || !slices.Equal(c.Float64, []float64{2.5, 4, 0}) || c.Valid(2) || !c.Valid(1) {
		t.Errorf("n: %+v %v %v", c, ok, err)
	}
	if c, ok, err := column("whole", metricabi.I32); err != nil || !ok || !slices.Equal(c.Int32, []int32{3, 7, 0}) {
		t.Errorf("whole: %+v %v %v", c, ok, err)
	}
	if c, ok, err := column("flag", metricabi.I64); err != nil || !ok || !slices.Equal(c.Int64, []int64{1, 0, 0}) {
		t.Errorf("flag: %+v %v %v", c, ok, err)
	}
	if c, ok, err := column("text", metricabi.UTF8); err != nil || !ok || c.String(0) != "a" || c.String(1) != "5" || c.Valid(2) {
		t.Errorf("text: %+v %v %v", c, ok, err)
	}
	if c, ok, err := column("four_class_label", metricabi.UTF8); err != nil || !ok || c.String(0) != "DENY" || c.Validity != nil {
		t.Errorf("the schema's: %+v %v %v", c, ok, err)
	}
	if _, ok, err := column("nobody", metricabi.F64); ok || err != nil {
		t.Errorf("a column that no row has: %v %v", ok, err)
	}
	for name, dtype := range map[string]metricabi.DType{"mixed": metricabi.F64, "n": metricabi.I64, "text": metricabi.I32} {
		if _, _, err := column(name, dtype); err == nil || !strings.Contains(err.Error(), "row 0") || !strings.Contains(err.Error(), name) {
			t.Errorf("%s as %s: %v", name, dtype, err)
		}
	}
	r, _ := newRunner(t)
	full := experiments.Sample{Label: "ALLOW", PredictionA: "ALLOW", PredictionB: "DENY", ProbabilityA: make([]float64, 4), ProbabilityB: make([]float64, 4), Columns: map[string]any{"here": "1"}}
	result := r.Engine.EvaluateModule(t.Context(), Module{Name: "m", Wasm: metrictest.Needing("own", 1, `{"role":"extra","name":"gone","dtype":"f64"}`)}, &experiments.ABResult{Samples: []experiments.Sample{full}})
	if !strings.Contains(result.Error, `"gone"`) || !strings.Contains(result.Error, "which no row has") || !strings.Contains(result.Error, `"here"`) {
		t.Errorf("%q", result.Error)
	}
}
