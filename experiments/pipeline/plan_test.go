package pipeline

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"triality/experiments/config"
	"triality/experiments/graph"
	"triality/experiments/pipeline/metrictest"
)

// changed lists the steps of one plan whose key another does not have.
func changed(t *testing.T, a, b config.Pipeline) string {
	t.Helper()
	var keys [2]map[string]bool
	var out []string
	for i, cfg := range []config.Pipeline{a, b} {
		keys[i] = map[string]bool{}
		for _, s := range plannedSteps(t, cfg, "cpu", nil) {
			keys[i][s.key] = true
			if i == 1 && !keys[0][s.key] {
				out = append(out, s.kind)
			}
		}
	}
	return strings.Join(out, " ")
}

func TestChangingOneKeyRerunsJustWhatDependsOnIt(t *testing.T) {
	dir := t.TempDir()
	writeRows(t, filepath.Join(dir, "rows.jsonl"), 64)
	other := t.TempDir()
	writeRows(t, filepath.Join(other, "rows.jsonl"), 64)
	const all = "base convert finetune replace abtest report"
	tests := []struct{ set, want string }{
		{"name=other", "report"},
		{"seed=8", all},
		{"device=auto", ""},
		{"threads=1", ""},
		{"output_dir=" + other, ""},
		{"data.input_path=" + filepath.Join(other, "rows.jsonl"), ""},
		{"data.strict=true", ""},
		{"data.format_type=completion", all},
		{"data.max_length=90", all},
		{"data.test_ratio=0.4", all},
		{"test.generate.max_new_tokens=0", ""},
		{"test.generate.max_new_tokens=8", "abtest report"},
		{"model.create.learning_rate=1e-4", all},
		{"training.num_train_epochs=2", "finetune replace abtest report"},
		{"training.learning_rate=1e-4", "finetune replace abtest report"},
		{"training.lora_dropout=0", "finetune replace abtest report"},
		{"training.lora_target_modules=[q_proj]", "finetune replace abtest report"},
		{"training.save_steps=1", ""},
		{"training.save_total_limit=9", ""},
		{"training.checkpoint_interval=1s", ""},
		{"so8t.pet_lambda=0.5", "replace abtest report"},
		{"so8t.num_train_epochs=0", "replace abtest report"},
		{"test.bootstrap_resamples=200", "abtest report"},
		{"test.warmup=2", "abtest report"},
		{metricFiles(t, map[string][]byte{"m": metrictest.Good("m", 1)}), "abtest report"},
		{"report.language=ja", "report"},
	}
	for _, tt := range tests {
		t.Run(tt.set, func(t *testing.T) {
			if got := changed(t, smallConfig(t, dir), smallConfig(t, dir, tt.set)); got != tt.want {
				t.Errorf("reruns %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("a module at another path is the same module, another one is not", func(t *testing.T) {
		at := func(value float64) config.Pipeline {
			return smallConfig(t, dir, metricFiles(t, map[string][]byte{"m": metrictest.Good("m", value)}))
		}
		if got := changed(t, at(1), at(1)); got != "" {
			t.Errorf("the same module reruns %q", got)
		}
		if got := changed(t, at(1), at(2)); got != "abtest report" {
			t.Errorf("another module reruns %q", got)
		}
	})
	t.Run("another row changes everything", func(t *testing.T) {
		before := smallConfig(t, dir, "data.input_path="+filepath.Join(other, "rows.jsonl"))
		writeRows(t, filepath.Join(other, "rows.jsonl"), 66)
		if got := changed(t, smallConfig(t, dir), before); got != all {
			t.Errorf("reruns %q", got)
		}
	})
}

func TestWithAModelOfOnesOwnTheDataDecideConvertOnwards(t *testing.T) {
	dir, _, _ := afterOneRun(t)
	base := "model.base_model=" + firstBase(t, dir)
	for set, want := range map[string]string{
		"data.max_length=90":              "convert finetune replace abtest report",
		"model.create.num_train_epochs=9": "",
		"test.model_a_path=" + inCopy(t, dir, firstRun(t).Steps[2].Output) + "/merged": "abtest report",
		"test.test_data_path=" + filepath.Join(dir, "rows.jsonl"):                      "abtest report",
	} {
		if got := changed(t, smallConfig(t, dir, base), smallConfig(t, dir, base, set)); got != want {
			t.Errorf("%s reruns %q, want %q", set, got, want)
		}
	}
}

func TestWhatAChangeDoesNotTouchIsTakenOver(t *testing.T) {
	const five = "base reused, convert reused, finetune reused, replace reused, "
	tests := []struct {
		name, set, want string
	}{
		{"another language rewrites the report", "report.language=ja", five + "abtest reused, report finished"},
		{"more resamples repeat the A/B test", "test.bootstrap_resamples=200", five + "abtest finished, report finished"},
		{"another rotation phase starts at replace", "so8t.num_train_epochs=0", "base reused, convert reused, finetune reused, replace finished, abtest finished, report finished"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, r, tracker := afterOneRun(t)
			run, upToDate, err := r.Run(context.Background(), smallConfig(t, dir, tt.set), RunOptions{})
			if err != nil || upToDate || statuses(run) != tt.want {
				t.Fatalf("%v, up to date %v: %s", err, upToDate, statuses(run))
			}
			if len(tracker.points[run.ID]["train/loss"]) != 5 || len(tracker.artifacts[run.ID+"/finetune/adapter_model.safetensors"]) == 0 {
				t.Error("what was taken over is not in the new run")
			}
			if _, ok := run.Summary["train/loss"]; !ok {
				t.Error("the metrics of a step taken over are not in the run's summary")
			}
		})
	}
}

func TestAFinishedResultThatIsNotWholeIsMadeAnew(t *testing.T) {
	tests := []struct {
		name   string
		damage func(dir string) error
	}{
		{"the adapter is gone", func(dir string) error { return os.RemoveAll(filepath.Join(dir, "adapter")) }},
		{"the marker is gone", func(dir string) error { return os.Remove(filepath.Join(dir, graph.MarkerName)) }},
		{"the marker is cut short", func(dir string) error { return os.Truncate(filepath.Join(dir, graph.MarkerName), 20) }},
		{"the marker is of another configuration", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, graph.MarkerName), []byte(`{"kind":"finetune","key":"00","outputs":["adapter"]}`), 0o644)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, r, _ := afterOneRun(t)
			want := weights(t, dir)
			if err := tt.damage(inCopy(t, dir, firstRun(t).Steps[2].Output)); err != nil {
				t.Fatal(err)
			}
			run, _, err := r.Run(context.Background(), smallConfig(t, dir), RunOptions{})
			if err != nil || statuses(run) != "base reused, convert reused, finetune finished, replace reused, abtest reused, report reused" {
				t.Fatalf("%v, %s", err, statuses(run))
			}
			for path, b := range weights(t, dir) {
				if want[path] != b {
					t.Errorf("%s is other than before", path)
				}
			}
		})
	}
}
