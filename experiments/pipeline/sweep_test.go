package pipeline

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/kinds/sweep"
)

// searched is a sweep of four points over a training and its test.
const searched = `name: search
output_dir: work
device: cpu
threads: 1
devices: 2
seed: 5
steps:
  - {name: rows, kind: convert, body: {data: {input_path: rows.jsonl, max_length: 96}, base_model: base}}
  - {name: tuned, kind: finetune, body: {base_model: base, dataset: "${rows.dataset}", training: {num_train_epochs: 1, logging_steps: 1, lora_r: 2}}}
  - {name: ab, kind: abtest, body: {model_a: base, model_b: "${tuned.model}", test_data: "${rows.dataset}", test: {bootstrap_resamples: 100}, max_length: 96}}
  - name: search
    kind: sweep
    body:
      of: tuned
      keys: {training.lora_r: [2, 4], training.learning_rate: [1.0e-3, 1.0e-2]}
      metric: ${ab.metrics.abtest/b/accuracy}
  - {name: merged, kind: merge, body: {base_model: base, adapter: "${search.best.adapter}"}}
`

func TestASweepsPointsAreRunsOfTheirConfigurations(t *testing.T) {
	dir := inPair(t)
	alone, _ := runPair(t, parsed(t, searched[:strings.Index(searched, "  - name: search")], "tuned.training.lora_r=4", "tuned.training.learning_rate=1.0e-2"), nil)
	run, tracker := runPair(t, parsed(t, searched), nil)
	if statuses(run) != "convert reused, finetune finished, abtest finished, sweep finished, merge finished" {
		t.Fatal(statuses(run))
	}
	parts := map[string]experiments.Run{}
	for _, r := range tracker.runs {
		if r.ParentID == run.ID {
			parts[r.Name] = r
		}
	}
	names := slices.Sorted(maps.Keys(parts))
	if got := strings.Join(names, "; "); got != "lora_r=2, learning_rate=1.0e-2; lora_r=2, learning_rate=1.0e-3; lora_r=4, learning_rate=1.0e-2; lora_r=4, learning_rate=1.0e-3" {
		t.Errorf("%s", got)
	}
	last := parts["lora_r=4, learning_rate=1.0e-2"]
	if statuses(last) != "finetune reused, abtest reused" || last.Steps[0].Key != alone.Steps[1].Key || last.Steps[1].Key != alone.Steps[2].Key {
		t.Errorf("what ran alone is not taken over: %s", statuses(last))
	}
	for name, part := range parts {
		if part.Status != experiments.Finished || part.Tags[experiments.TagSweep] != "search" || part.ExperimentID != run.ExperimentID || !experiments.IsPart(part.ID, run.ID) {
			t.Errorf("%s: %+v", name, part)
		}
		if _, ok := part.Summary["abtest/b/accuracy"]; !ok || len(tracker.points[part.ID]["train/loss"]) == 0 || part.Params["tuned.training.lora_r"] == "" {
			t.Errorf("%s: summary %v, parameters %v", name, part.Summary, part.Params)
		}
		// What it ran is its configuration: the same again runs nothing.
		spec, err := ParseSpec("part.yaml", []byte(part.Config))
		if err != nil {
			t.Fatal(err)
		}
		r, _ := newRunner(t)
		steps, err := r.Plan(t.Context(), spec)
		if err != nil || slices.ContainsFunc(steps, func(s PlannedStep) bool { return !s.TakenOver }) {
			t.Errorf("%s: its configuration is not finished: %+v, %v", name, steps, err)
		}
	}
	if run.Params["search.keys"] == "" || run.Summary["sweep/looks"] != 4 || run.Summary["sweep/points"] != 4 {
		t.Errorf("%v, %v", run.Params, run.Summary)
	}
	table, err := sweep.ReadResult(filepath.Join(run.Steps[3].Output, "sweep.json"))
	if err != nil || len(table.Points) != 4 || table.Looks != 4 {
		t.Fatalf("%+v, %v", table, err)
	}
	for _, p := range table.Points {
		if want := parts[p.Name].Summary["abtest/b/accuracy"]; p.Value == nil || *p.Value != want || *p.Value > table.Best.Value {
			t.Errorf("%+v, want %v", p, want)
		}
	}
	want, err := os.ReadFile(filepath.Join(parts[table.Best.Name].Steps[0].Output, "adapter", "adapter_model.safetensors"))
	have, err2 := os.ReadFile(filepath.Join(run.Steps[3].Output, "best", "adapter", "adapter_model.safetensors"))
	if err != nil || err2 != nil || string(want) != string(have) {
		t.Errorf("best.adapter is not the best point's: %v, %v", err, err2)
	}
	if len(tracker.artifacts[run.ID+"/sweep/sweep.json"]) == 0 {
		t.Error("the table is not kept with the run")
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "work", "finetune")); err != nil || len(entries) < 4 {
		t.Errorf("%v, %v", entries, err)
	}
}
