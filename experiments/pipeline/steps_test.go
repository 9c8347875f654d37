package pipeline

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/dataset"
	"triality/experiments/graph"
	"triality/experiments/kinds/burnin"
	"triality/experiments/kinds/export"
	"triality/experiments/kinds/merge"
	"triality/experiments/kinds/metric"
	"triality/experiments/pipeline/metrictest"
	"triality/runtime/hub"
)

func TestAdaptersAreMergedAndModelsBurntInAndExported(t *testing.T) {
	ctx := t.Context()
	r, _ := newRunner(t)
	r.Engine.Hub = &hub.Options{CacheDir: t.TempDir(), Offline: true}
	h := host{r.Engine, nil}
	dir := t.TempDir()
	at := func(name ...string) string { return filepath.Join(append([]string{dir}, name...)...) }
	chatBase(t, at("base"))
	writeRows(t, at("rows.jsonl"), 8)
	o := ConvertOptions{BaseModel: at("base"), OutDir: dir, Options: dataset.Options{InputPath: at("rows.jsonl"), Format: "instruction", MaxLength: 96, NoSplit: true}}
	training := smallConfig(t, dir).Training
	var said notes
	for _, step := range []struct {
		name string
		do   func() error
		made string
	}{
		{"convert", func() error { return r.Engine.Convert(ctx, o, silent{}) }, at("dataset")},
		{"finetune", func() error {
			return r.Engine.Finetune(ctx, FinetuneOptions{BaseModel: at("base"), Dataset: at("dataset"), OutDir: dir, Training: training, MaxLength: 96}, silent{})
		}, at("adapter", "adapter_model.safetensors")},
		{"merge", func() error {
			return h.Merge(ctx, merge.Options{BaseModel: at("base"), Adapter: at("adapter"), Out: at("again")}, silent{})
		}, at("again", "model.safetensors")},
		{"replace", func() error {
			return r.Engine.Replace(ctx, ReplaceOptions{Model: at("base"), OutDir: dir, MaxLength: 96}, silent{})
		}, at("model", "replacement.json")},
		{"burn-in", func() error { return h.BurnIn(ctx, burnin.Options{Model: at("model"), Out: at("plain")}, silent{}) }, at("plain", "model.safetensors")},
		{"export", func() error {
			return h.Export(ctx, export.Options{Model: at("base"), Type: "f16", Out: at("base.gguf")}, &said)
		}, at("base.gguf")},
	} {
		if err := step.do(); err != nil || !exists(step.made) {
			t.Fatalf("%s: %v", step.name, err)
		}
	}
	if slices.ContainsFunc(said.text, func(text string) bool { return strings.Contains(text, "stored as f16") }) {
		t.Errorf("said %q of what is stored as it was asked for", said.text)
	}
	const none = "org/none"
	for name, err := range map[string]error{
		"merge":   h.Merge(ctx, merge.Options{BaseModel: none, Adapter: at("adapter"), Out: at("x")}, silent{}),
		"burn-in": h.BurnIn(ctx, burnin.Options{Model: none, Out: at("x")}, silent{}),
		"export":  h.Export(ctx, export.Options{Model: none, Type: "f16", Out: at("x")}, silent{}),
	} {
		if err == nil || !strings.Contains(err.Error(), "there is no folder "+none) {
			t.Errorf("%s of a model that is not there: %v", name, err)
		}
	}
	for _, o := range []export.Options{{Model: at("base"), Type: "q4", Out: at("x")}, {Model: at("dataset"), Type: "f16", Out: at("x")}} {
		if err := h.Export(ctx, o, silent{}); experiments.CodeOf(err) != experiments.CodeInvalid {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if rows, err := trainingRows(ctx, at("rows.jsonl"), true, silent{}); err != nil || len(rows) != 8 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	if _, err := trainingRows(ctx, at("gone.jsonl"), true, silent{}); err == nil || !strings.HasPrefix(err.Error(), "training data: ") {
		t.Errorf("rows that are not there: %v", err)
	}
}

func TestAMetricOfAGraphIsMeasuredOrSaysWhyNot(t *testing.T) {
	r, _ := newRunner(t)
	dir := t.TempDir()
	write := func(name string, rows int) string {
		ab := experiments.ABResult{}
		for i := range rows {
			ab.Samples = append(ab.Samples, experiments.Sample{Index: i, Label: "ALLOW", PredictionA: "ALLOW", PredictionB: "DENY", ProbabilityA: make([]float64, 4), ProbabilityB: make([]float64, 4)})
		}
		path := filepath.Join(dir, name)
		if err := graph.WriteJSON(path, ab); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one, two, empty := write("one.json", 2), write("two.json", 3), write("empty.json", 0)
	wasm := filepath.Join(dir, "good.wasm")
	if err := os.WriteFile(wasm, metrictest.Good("good", 1), 0o644); err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for _, tt := range []struct {
		name, result, other string
		wasm                []byte
		ctx                 context.Context
		fails               string // of the tracker
		out                 string
		want                string // of the error
	}{
		{name: "both arms of a result", result: one},
		{name: "arms of two results", result: one, other: one},
		{name: "results of other rows", result: one, other: two, want: "on the same rows"},
		{name: "a result that is not there", result: one + "x", want: "one.jsonx"},
		{name: "another that is not there", result: one, other: two + "x", want: "two.jsonx"},
		{name: "a result without rows", result: empty, want: "holds no rows"},
		{name: "no module", result: one, wasm: []byte("no module"), want: "metric m: "},
		{name: "a context that has ended", result: one, ctx: ended, want: "the same command resumes"},
		{name: "a tracker that does not take the module", result: one, fails: "use", want: errTracker.Error()},
		{name: "a file that cannot be written", result: one, out: filepath.Join(one, "x"), want: "one.json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, c, _ := oneStep(t, tt.fails)
			e.Engine = r.Engine
			h := host{r.Engine, e}
			m, err := h.MetricModule(t.Context(), config.Metric{Module: wasm})
			if err != nil || m.SHA256 == "" || len(m.Wasm) == 0 {
				t.Fatal(err)
			}
			m.Name = "m"
			if tt.wasm != nil {
				m.Wasm = tt.wasm
			}
			o := metric.Options{Result: tt.result, Other: tt.other, Arms: [2]string{"B", "B"}, Module: m, Out: tt.out}
			if o.Out == "" {
				o.Out = filepath.Join(t.TempDir(), "out.json")
			}
			ctx := tt.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			s := &taken{}
			err = h.Measure(ctx, o, s)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) || len(s.series) != 0 {
					t.Errorf("%v, series %q, want %q", err, s.series, tt.want)
				}
				return
			}
			if err != nil || len(s.series) != 1 || !exists(o.Out) || !slices.Contains(c.calls, "use good") {
				t.Errorf("%v, series %q, calls %q", err, s.series, c.calls)
			}
		})
	}
	if _, err := (host{r.Engine, &execution{Runner: r}}).MetricModule(t.Context(), config.Metric{Module: wasm + "x"}); !errors.Is(err, os.ErrNotExist) && experiments.CodeOf(err) != experiments.CodeNotFound {
		t.Errorf("a module that is not there: %v", err)
	}
}
