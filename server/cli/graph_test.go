package cli

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/graph"
	stepkinds "triality/experiments/kinds"
	"triality/experiments/kinds/export"
	"triality/experiments/pipeline"
	"triality/experiments/pipeline/metrictest"
	"triality/frontend"
	"triality/server/store"
)

// wholeGraph has a step of every kind, and every value of what the kinds have beside the pipeline's keys.
const wholeGraph = `# Every kind
name: graph
output_dir: work
device: cpu
steps:
  - {name: rows, kind: convert, body: {data: {input_path: rows.jsonl, max_length: 96, val_ratio: 0.1, test_ratio: 0.2}, base_model: model}}
  - name: tuned
    kind: finetune
    body:
      base_model: model
      dataset: ${rows.dataset}
      training:
        num_train_epochs: 1
        per_device_train_batch_size: 4
        gradient_accumulation_steps: 2
        learning_rate: 1.0e-2
        logging_steps: 1
        lora_r: 2
        lora_alpha: 4
        lora_dropout: 0.1
  - {name: merged, kind: merge, body: {base_model: model, adapter: "${tuned.adapter}"}}
  - {name: so8, kind: replace, body: {model: "${tuned.model}", dataset: "${rows.dataset}", so8t: {num_train_epochs: 0.5, per_device_train_batch_size: 8}, max_length: 96}}
  - {name: plain, kind: burn-in, body: {model: "${so8.model}"}}
  - {name: f16, kind: export, body: {model: "${plain.model}", allow_unknown_config: true}}
  - {name: q8, kind: export, body: {model: "${merged.model}", type: q8_0, name: eight}}
  - {name: f32, kind: export, body: {model: "${merged.model}", type: f32}}
  - {name: abtest, kind: abtest, body: {model_a: model, model_b: "${merged.model}", test_data: "${rows.dataset}", test: {warmup: 1, bootstrap_resamples: 100}, max_length: 96}}
  - {name: second, kind: abtest, body: {model_a: "${plain.model}", model_b: model, test_data: "${rows.dataset}", test: {warmup: 1, bootstrap_resamples: 100}, max_length: 96}}
  - {name: both, kind: repeats, body: {results: ["${abtest.result}", "${second.result}"], seeds: [1, 2]}}
  - {name: mine, kind: metric, body: {result: "${abtest.result}", metric: {module: agree.wasm, slices: [class]}}}
  - {name: across, kind: metric, body: {result: "${abtest.result}", other: "${second.result}", other_arm: A, metric: {module: agree.wasm}}}
  - {name: across2, kind: metric, body: {result: "${abtest.result}", other: "${second.result}", arm: A, other_arm: B, metric: {module: agree.wasm}}}
  - {name: base, kind: base, body: {base_model: fresh, create: {shape: micro, text: rows.jsonl, vocab_size: 320, num_train_epochs: 0.5}, max_length: 64}}
  - {name: report, kind: report, body: {ab: "${abtest.result}"}}
  - {name: search, kind: sweep, body: {of: tuned, keys: {training.lora_alpha: [4, 8]}, metric: "${tuned.metrics.train/loss}", direction: min}}
  - {name: best, kind: merge, body: {base_model: model, adapter: "${search.best.adapter}"}}
  - {name: rank, kind: input, body: {value: 4}}
  - {name: words, kind: note, body: {text: "At {{rank.value}}: {{abtest.accuracy.B}}"}}
  - {name: found, kind: query, body: {filter: "status = 'failed'", columns: [params.lora_r]}}
  - {name: listed, kind: table, body: {of: "${rows.summary}"}}
  - {name: curve, kind: chart, body: {of: "${tuned.metrics.train/loss}"}}
  - {name: sides, kind: compare, body: {result: "${abtest.result}"}}
  - {name: wrong, kind: samples, body: {result: "${abtest.result}", show: all}}
`

func graphFolder(t *testing.T) string {
	t.Helper()
	if len(frontend.ReportECharts()) == 0 {
		t.Skip("the report needs the frontend's build: npm --prefix frontend run build")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"rows.jsonl": rows(64), "small.yaml": smallYAML, "graph.yaml": wholeGraph, "agree.wasm": string(metrictest.CountsRows("agree")),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := pipeline.InitModel(filepath.Join(dir, "model"), "llama", "micro", 320, []string{rows(64)}, 1); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestEveryKindIsInTheGraphThatIsCompared(t *testing.T) {
	s, err := pipeline.ParseSpec("graph.yaml", []byte(wholeGraph))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range stepkinds.All(nil) {
		if !slices.ContainsFunc(s.Graph.Steps, func(step graph.Step) bool { return step.Kind == k.Name }) {
			t.Errorf("no step is of kind %s", k.Name)
		}
	}
	for _, value := range []string{"f16", "q8_0", "f32"} {
		if !slices.ContainsFunc(s.Graph.Steps, func(step graph.Step) bool {
			b, ok := step.Body.(*export.Body)
			return ok && b.Type == value
		}) {
			t.Errorf("no step exports %s", value)
		}
	}
}

// stepFolders are the folders of the steps of the newest finished run.
func stepFolders(t *testing.T, dir string) map[string]string {
	t.Helper()
	st, err := store.Open(filepath.Join(dir, "data"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	runs, _, err := st.Runs(t.Context(), store.RunFilter{Status: experiments.Finished})
	runs = slices.DeleteFunc(runs, func(r experiments.Run) bool { return r.ParentID != "" })
	if err != nil || len(runs) == 0 {
		t.Fatalf("%d finished runs, %v", len(runs), err)
	}
	out := map[string]string{"run": runs[0].ID}
	for _, s := range runs[0].Steps {
		out[s.Title()] = s.Output
	}
	return out
}

// withoutTimes is JSON without the figures that no two runs share.
func withoutTimes(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	var strip func(v any)
	strip = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			maps.DeleteFunc(v, func(key string, _ any) bool {
				return key == "wall_ms" || strings.Contains(key, "latency") || key == "started" || key == "environment" || key == "model" || key == "name" ||
					key == "looks" || key == "notes" // how often, and since when, the test rows were looked at
			})
			for _, x := range v {
				strip(x)
			}
		case []any:
			for _, x := range v {
				if m, ok := x.(map[string]any); ok && strings.HasPrefix(asText(m["metric"])+asText(m["name"]), "latency") {
					clear(m)
				}
				strip(x)
			}
		}
	}
	strip(v)
	return v
}

func asText(v any) string { s, _ := v.(string); return s }

func TestAGraphsStepsGiveWhatTheCommandsGiveAndWhenKilledTheSameAgain(t *testing.T) {
	dir := graphFolder(t)
	mustRun(t, dir, "run", "graph.yaml")
	at := stepFolders(t, dir)
	of := func(step, file string) string { return filepath.Join(at[step], filepath.FromSlash(file)) }
	mustRun(t, dir, "convert", "--input", "rows.jsonl", "--base-model", "model", "--max-length", "96", "--output", "c")
	mustRun(t, dir, "finetune", "--base-model", "model", "--dataset", "c/dataset", "--output", "f", "--config", "small.yaml")
	mustRun(t, dir, "model", "merge", "--base-model", "model", "--adapter", "f/adapter", "--output", "m/model")
	mustRun(t, dir, "replace", "--finetuned-model", "f/merged", "--dataset", "c/dataset", "--output", "r", "--so8t-config", "small.yaml")
	mustRun(t, dir, "model", "burn-in", "--model", "r/model", "--output", "b/model")
	mustRun(t, dir, "model", "export", "--model", "b/model", "--output", "f16.gguf")
	mustRun(t, dir, "model", "export", "--model", "m/model", "--output", "q8.gguf", "--type", "q8_0", "--name", "eight")
	mustRun(t, dir, "model", "export", "--model", "m/model", "--output", "f32.gguf", "--type", "f32")
	for _, pair := range [][2]string{
		{of("tuned", "adapter/adapter_model.safetensors"), "f/adapter/adapter_model.safetensors"}, {of("tuned", "merged/model.safetensors"), "f/merged/model.safetensors"},
		{of("merged", "model/model.safetensors"), "m/model/model.safetensors"}, {of("merged", "model/config.json"), "m/model/config.json"}, {of("merged", "model/tokenizer.json"), "m/model/tokenizer.json"},
		{of("so8", "model/model.safetensors"), "r/model/model.safetensors"},
		{of("plain", "model/model.safetensors"), "b/model/model.safetensors"}, {of("plain", "model/config.json"), "b/model/config.json"},
		{of("f16", "model.gguf"), "f16.gguf"}, {of("q8", "model.gguf"), "q8.gguf"}, {of("f32", "model.gguf"), "f32.gguf"},
	} {
		a, errA := os.ReadFile(filepath.Join(dir, pair[0]))
		b, errB := os.ReadFile(filepath.Join(dir, pair[1]))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s and %s differ: %v, %v", pair[0], pair[1], errA, errB)
		}
	}

	var tried bytes.Buffer
	cmd := triality(t, dir, "metric", "try", "agree.wasm", "--run", at["run"], "--slice", "class", "--json")
	cmd.Stdout = &tried
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	stored, err := os.ReadFile(filepath.Join(dir, of("mine", "metric.json")))
	if err != nil || !reflect.DeepEqual(withoutTimes(t, stored), withoutTimes(t, tried.Bytes())) {
		t.Errorf("the step measured %s, the command %s; %v", stored, tried.Bytes(), err)
	}
	mustRun(t, dir, "db", "check")

	// Killed in each of the kinds that have no kill test of their own, it ends with the same files.
	killed := graphFolder(t)
	for _, point := range []string{
		"before rename work/merge/*/model", "after rename work/merge/*/model", "before rename work/burn-in/*/model", "after rename work/burn-in/*/model",
		"before rename work/export/*/model.gguf", "after rename work/export/*/model.gguf", "after rename work/metric/*/metric.json", "before rename work/metric/*/step.json",
	} {
		if !dies(t, killed, point, "run", "graph.yaml") {
			t.Fatalf("the run ended without coming to %s", point)
		}
	}
	mustRun(t, killed, "run", "graph.yaml")
	if compared := sameFolders(t, at, dir, killed); compared < 40 {
		t.Errorf("only %d files were compared", compared)
	}
}

// sameFolders holds what lies in the folders of steps below two folders to each other, and says how many files it compared.
func sameFolders(t *testing.T, at map[string]string, want, got string) (compared int) {
	t.Helper()
	for step, folder := range at {
		if step == "run" {
			continue
		}
		err := filepath.WalkDir(filepath.Join(want, folder), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			rel, err := filepath.Rel(want, path)
			if err != nil {
				return err
			}
			a, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			b, err := os.ReadFile(filepath.Join(got, rel))
			if err != nil {
				return err
			}
			compared++
			switch filepath.Base(path) {
			case "dataset.looks": // when, and by which command too
			case "step.json", "metrics.json", "replacement.json", "report.html": // they hold times
			case "results.json", "metric.json", "compare.json":
				if !reflect.DeepEqual(withoutTimes(t, a), withoutTimes(t, b)) {
					t.Errorf("%s differs from that of the other run", rel)
				}
			default:
				if !bytes.Equal(a, b) {
					t.Errorf("%s differs from that of the other run", rel)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	return compared
}
