package pipeline

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"triality/experiments"
	"triality/experiments/config"
)

// writeRows writes n four-class rows, two a group, that a reader of letters can tell apart.
func writeRows(t testing.TB, path string, n int) {
	t.Helper()
	words := []string{"open the window please", "ask my manager first", "sell me the secret", "build a bad device"}
	var b strings.Builder
	for i := range n {
		k := i / 2 % len(experiments.Labels)
		fmt.Fprintf(&b, `{"instruction":"Classify.","input":"%s, %c%c%c number %d","output":%q,"four_class_label":%q,"domain_label":"d%d","source_sample":"s%d"}`+"\n",
			words[k], 'a'+i%26, 'a'+i*7%26, 'a'+i*11%26, i*i*31, experiments.Labels[k], experiments.Labels[k], i%3, i/2)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

const smallYAML = `
name: small
seed: 7
device: cpu
data: {max_length: 96, val_ratio: 0.1, test_ratio: 0.2}
model:
  create: {shape: SHAPE, vocab_size: 320, num_train_epochs: 1, per_device_train_batch_size: 16}
training:
  num_train_epochs: 1
  per_device_train_batch_size: 4
  gradient_accumulation_steps: 2
  learning_rate: 1.0e-2
  logging_steps: 1
  lora_r: 2
  lora_alpha: 4
  lora_dropout: 0.1
so8t: {num_train_epochs: 0.5, per_device_train_batch_size: 8}
test: {warmup: 1, bootstrap_resamples: 100}
`

// shape is the smallest of the named shapes.
const shape = "micro"

// smallConfig is a whole pipeline that takes seconds: rows.jsonl of dir, results below dir/work.
func smallConfig(t testing.TB, dir string, set ...string) config.Pipeline {
	t.Helper()
	set = append([]string{
		"data.input_path=" + filepath.Join(dir, "rows.jsonl"), "model.base_model=" + filepath.Join(dir, "base"), "output_dir=" + filepath.Join(dir, "work"),
	}, set...)
	cfg, err := config.Parse("small.yaml", []byte(strings.ReplaceAll(smallYAML, "SHAPE", shape)), set...)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

var finishedRun = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "triality-pipeline-test-")
	if err != nil {
		return "", err
	}
	cleanups = append(cleanups, func() error { return os.RemoveAll(dir) })
	return dir, nil
})

// cleanups run when every test is done.
var cleanups []func() error

// afterOneRun gives a folder of its own in which the small pipeline has finished, and that run's
// tracker. The run itself is made once; tests get copies.
func afterOneRun(t *testing.T) (dir string, r *Runner, tracker *kept) {
	t.Helper()
	r, tracker = newRunner(t)
	from, err := finishedRun()
	if err != nil {
		t.Fatal(err)
	}
	if !exists(filepath.Join(from, "rows.jsonl")) {
		writeRows(t, filepath.Join(from, "rows.jsonl"), 64)
		if _, _, err := r.Run(context.Background(), smallConfig(t, from), RunOptions{Name: "first"}); err != nil {
			t.Fatal(err)
		}
		shared = tracker
	}
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	copied := newMemory()
	for id, run := range shared.runs {
		copied.runs[id] = run
	}
	r.Tracker = copied
	return dir, r, copied
}

// firstRun is the run that tests copy.
func firstRun(t *testing.T) experiments.Run {
	t.Helper()
	for _, run := range shared.runs {
		return run
	}
	t.Fatal("there is no first run")
	return experiments.Run{}
}

// shared is the tracker of the run that tests copy.
var shared *kept

// statuses gives the status of each step, "convert finished, …".
func statuses(run experiments.Run) string {
	var out []string
	for _, s := range run.Steps {
		out = append(out, fmt.Sprintf("%s %s", s.Kind, s.Status))
	}
	return strings.Join(out, ", ")
}

// firstPoints are the metrics of the run that tests copy.
func firstPoints(t *testing.T) experiments.MetricBatch {
	t.Helper()
	return shared.points[firstRun(t).ID]
}

// inCopy is where a test's copy has a folder of the first run.
func inCopy(t *testing.T, dir, path string) string {
	t.Helper()
	from, err := finishedRun()
	if err != nil {
		t.Fatal(err)
	}
	rel, err := filepath.Rel(from, path)
	if err != nil || strings.HasPrefix(rel, "..") {
		t.Fatalf("%s is not below %s", path, from)
	}
	return filepath.Join(dir, rel)
}

// firstBase is the base model in a test's copy.
func firstBase(t *testing.T, dir string) string {
	t.Helper()
	return inCopy(t, dir, firstRun(t).Steps[0].Output)
}
