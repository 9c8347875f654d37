package cli

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"triality/experiments"
	"triality/experiments/kinds/sweep"
	"triality/experiments/pipeline"
	"triality/server/store"
)

// sweepYAML is a sweep over a training of the tiny model; BODY is what it tries.
const sweepYAML = `name: search
output_dir: work
device: cpu
threads: 1
steps:
  - {name: rows, kind: convert, body: {data: {input_path: rows.jsonl, max_length: 64, val_ratio: 0.2, test_ratio: 0.2}, base_model: model}}
  - {name: tuned, kind: finetune, body: {base_model: model, dataset: "${rows.dataset}", training: {num_train_epochs: 1, per_device_train_batch_size: 8, lora_r: 2}}}
  - name: search
    kind: sweep
    body: {of: tuned, metric: "${tuned.metrics.eval/loss}", direction: min, BODY}
`

func sweepFolder(t *testing.T, body string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"rows.jsonl": rows(32), "sweep.yaml": strings.Replace(sweepYAML, "BODY", body, 1)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := pipeline.InitModel(filepath.Join(dir, "model"), "llama", "micro", 320, []string{rows(32)}, 1); err != nil {
		t.Fatal(err)
	}
	return dir
}

// sweepTable is the table of the sweep below a folder, and its bytes.
func sweepTable(t *testing.T, dir string) (sweep.Result, []byte) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "work", "sweep", "*", "sweep.json"))
	if err != nil || len(paths) != 1 {
		t.Fatalf("%v, %v", paths, err)
	}
	text, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	r, err := sweep.ReadResult(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	return r, text
}

func TestASweepOfSixPointsKilledGoesOnToTheSameTable(t *testing.T) {
	if raceDetector {
		t.Skip("the processes it kills are the same without the race detector; package sweep runs the same under it")
	}
	t.Parallel()
	body := "keys: {training.learning_rate: [1.0e-3, 1.0e-2, 3.0e-2], training.lora_r: [2, 4]}"
	whole, killed := sweepFolder(t, body), sweepFolder(t, body)
	mustRun(t, whole, "run", "sweep.yaml")
	want, wantText := sweepTable(t, whole)
	if len(want.Points) != 6 || want.Looks != 6 {
		t.Fatalf("%+v", want)
	}
	for _, point := range []string{
		"after mkdir work/finetune", "after rename work/finetune/*/adapter", "before rename work/finetune/*/step.json", "after rename work/finetune/*/step.json",
		"before rename work/sweep/*/sweep.json", "after rename work/sweep/*/sweep.json",
	} {
		if !dies(t, killed, point, "run", "sweep.yaml") {
			t.Fatalf("the run ended without coming to %s", point)
		}
	}
	mustRun(t, killed, "run", "sweep.yaml")
	if _, text := sweepTable(t, killed); !bytes.Equal(text, wantText) {
		t.Errorf("killed, it ended with\n%s\nwant\n%s", text, wantText)
	}
	// What each process left is ended, and the last run's parts are whole.
	mustRun(t, killed, "run", "sweep.yaml")
	st, err := store.Open(filepath.Join(killed, "data"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	runs, _, err := st.Runs(t.Context(), store.RunFilter{Limit: 500})
	if err != nil {
		t.Fatal(err)
	}
	whole6 := 0
	for _, r := range runs {
		if !r.Status.Done() {
			t.Errorf("run %s %q is %s", r.ID, r.Name, r.Status)
		}
		if r.ParentID != "" && r.Status == experiments.Finished {
			whole6++
		}
	}
	if whole6 < 6 {
		t.Errorf("%d points are recorded as finished", whole6)
	}
}

// With TRIALITY_SWEEP=KILLS a sweep of 20 runs is killed at that many times.
func TestASweepOfTwentyRunsKilledAtAnyTimeGoesOn(t *testing.T) {
	kills, err := strconv.Atoi(os.Getenv("TRIALITY_SWEEP"))
	if err != nil || kills < 1 {
		t.Skip("TRIALITY_SWEEP=KILLS runs a sweep of 20 runs and kills it as often")
	}
	// 14 points, 4 of them in the second round, 1 in the third, and the step as it stands: 20 runs.
	body := "keys: {training.learning_rate: {log_uniform: [1.0e-4, 3.0e-2]}, training.lora_r: {integer: [1, 8]}}, method: halving, samples: 14, eta: 3, budget: {key: training.num_train_epochs, min: 0.5, max: 4.5}"
	whole, killed := sweepFolder(t, body), sweepFolder(t, body)
	began := time.Now()
	mustRun(t, whole, "run", "sweep.yaml")
	took := time.Since(began)
	want, wantText := sweepTable(t, whole)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d; undisturbed it took %v, %d looks", seed, took.Round(time.Second), want.Looks)
	random := rand.New(rand.NewPCG(seed, 0))
	done := 0
	for range kills {
		cmd := triality(t, killed, "run", "sweep.yaml")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(random.Int64N(int64(took) / 4)))
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			done++
		}
	}
	mustRun(t, killed, "run", "sweep.yaml")
	if _, text := sweepTable(t, killed); !bytes.Equal(text, wantText) {
		t.Errorf("killed %d times, it ended with\n%s\nwant\n%s", done, text, wantText)
	}
	t.Logf("killed %d times; %d points, rounds of %+v", done, len(want.Points), want.Rounds)
}
