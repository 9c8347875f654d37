package pipeline

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/config"
	"triality/runtime/realdata"
)

func TestASmallWholeRunLeavesEveryArtifactAndMetric(t *testing.T) {
	r, tracker := newRunner(t)
	dir := t.TempDir()
	writeRows(t, filepath.Join(dir, "rows.jsonl"), 64)
	cfg := smallConfig(t, dir)
	run, upToDate, err := r.Run(context.Background(), cfg, RunOptions{Name: "first", YAML: "the text"})
	if err != nil || upToDate {
		t.Fatal(err)
	}
	if got, want := statuses(run), "base finished, convert finished, finetune finished, replace finished, abtest finished, report finished"; got != want {
		t.Errorf("steps: %s", got)
	}
	if stored := tracker.runs[run.ID]; stored.Status != experiments.Finished || stored.Name != "first" || stored.Config != "the text" || stored.EndedAt.IsZero() || stored.Params["training.lora_r"] != "2" {
		t.Errorf("stored run %+v", stored)
	}
	for _, name := range []string{"convert/summary.json", "finetune/adapter_config.json", "finetune/adapter_model.safetensors", "replace/replacement.json", "abtest/results.json", "report.html"} {
		if len(tracker.artifacts[run.ID+"/"+name]) == 0 {
			t.Errorf("artifact %s is missing", name)
		}
	}
	points := tracker.points[run.ID]
	for name, want := range map[string]int{"train/loss": 5, "train/seconds": 5, "eval/loss": 1, "eval/seconds": 1, "pretrain/loss": 1, "so8t/loss": 1, "abtest/a/accuracy": 1, "abtest/delta/macro_f1": 1, "abtest/baseline/naive_bayes": 1, "abtest/baseline/linear": 1} {
		if len(points[name]) != want {
			t.Errorf("%d points of %s, want %d", len(points[name]), name, want)
		}
	}
	for i, p := range points["train/loss"] {
		if p.Step != int64(i+1) || p.Value <= 0 {
			t.Errorf("train/loss %d: %+v", i, p)
		}
	}
	var in experiments.ReportInput
	if err := json.Unmarshal(tracker.artifacts[run.ID+"/report.html"], &in); err != nil {
		t.Fatal(err)
	}
	if in.Run.Status != experiments.Finished || in.Data.Rows != 64 || in.AB.Rows == 0 || len(in.Series["train/loss"]) != 5 || len(in.Replacement) == 0 || in.Language != "en" || in.Environment["device"] == "" {
		t.Errorf("report of %+v", in)
	}
	for _, sample := range in.AB.Samples {
		sum := 0.0
		for _, p := range sample.ProbabilityB {
			sum += p
		}
		if sum < 0.999 || sum > 1.001 {
			t.Errorf("probabilities %v", sample.ProbabilityB)
		}
	}
	for _, s := range run.Steps {
		if exists(filepath.Join(s.Output, "checkpoints")) {
			t.Errorf("%s: a finished step left its checkpoints", s.Kind)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.training")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}

	again, upToDate, err := r.Run(context.Background(), cfg, RunOptions{})
	if err != nil || !upToDate || again.ID != run.ID || len(tracker.runs) != 1 {
		t.Errorf("run again: %v, up to date %v, run %s of %d, first %s", err, upToDate, again.ID, len(tracker.runs), run.ID)
	}
	// The server asks for a run of its own: it is made of the finished results.
	own, upToDate, err := r.Run(context.Background(), cfg, RunOptions{RunID: "own"})
	if err != nil || upToDate || own.ID != "own" || strings.Contains(statuses(own), "finished") {
		t.Errorf("%v, %v, %s", err, upToDate, statuses(own))
	}
	if len(tracker.points["own"]["train/loss"]) != 5 || len(tracker.artifacts["own/report.html"]) == 0 {
		t.Error("a run of finished results has no metrics or artifacts")
	}
}

// interrupter ends a context when a step of a kind has got so far; −1: when it starts.
type interrupter struct {
	kind   string
	unit   string // of the progress that counts; empty: any
	done   int64
	cancel context.CancelFunc
	notes  []string
}

func (i *interrupter) Step(s experiments.Step) {
	if s.Kind == i.kind && s.Status == experiments.Running && i.done < 0 {
		i.cancel()
	}
}
func (i *interrupter) Note(kind string, text string) {
	i.notes = append(i.notes, string(kind)+": "+text)
}
func (i *interrupter) Progress(kind string, p experiments.Progress) {
	if kind == i.kind && (i.unit == "" || i.unit == p.Unit) && i.done >= 0 && p.Done >= i.done {
		i.cancel()
	}
}

// weights reads every safetensors file below a folder.
func weights(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".safetensors" {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, path))
		out[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAnInterruptedRunResumesToTheSameBytes(t *testing.T) {
	tests := []struct {
		name string
		kind string
		done int64
		from []string // the steps that are made anew
	}{
		{"in the base model's training", "base", 0, []string{"base", "finetune"}},
		{"at the end of convert", "convert", 64, []string{"convert"}},
		{"before the first step of finetune", "finetune", 0, []string{"finetune"}},
		{"in finetune", "finetune", 2, []string{"finetune"}},
		{"at the last step of finetune", "finetune", 5, []string{"finetune", "replace"}},
		{"as replace starts", "replace", -1, []string{"replace"}},
		{"in replace's probes", "replace", 1, []string{"replace"}},
		{"in abtest", "abtest", 8, []string{"abtest", "report"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, r, tracker := afterOneRun(t)
			want := weights(t, dir)
			wantLoss := firstPoints(t)["train/loss"]
			for _, s := range firstRun(t).Steps {
				for _, kind := range tt.from {
					if s.Kind == kind {
						if err := os.RemoveAll(inCopy(t, dir, s.Output)); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			i := &interrupter{kind: tt.kind, done: tt.done, cancel: cancel}
			if tt.kind == "convert" {
				i.unit = "rows" // not the planning's texts
			}
			r.Watcher = i
			run, _, err := r.Run(ctx, smallConfig(t, dir), RunOptions{})
			if err == nil || strings.Count(err.Error(), "resumes") != 1 || run.Status != experiments.Interrupted || tracker.runs[run.ID].Status != experiments.Interrupted {
				t.Fatalf("error %v, status %s, stored %s", err, run.Status, tracker.runs[run.ID].Status)
			}
			interrupted := 0
			for _, s := range tracker.runs[run.ID].Steps {
				if s.Status == experiments.Running || s.Status == experiments.Failed {
					t.Errorf("%s is %s (%s)", s.Kind, s.Status, s.Error)
				}
				if s.Status == experiments.Interrupted {
					interrupted++
				}
			}
			if interrupted != 1 {
				t.Errorf("%d steps are interrupted: %s", interrupted, statuses(tracker.runs[run.ID]))
			}
			second := &interrupter{}
			r.Watcher = second
			run, _, err = r.Run(context.Background(), smallConfig(t, dir), RunOptions{})
			if err != nil || run.Status != experiments.Finished {
				t.Fatalf("resumed: %v, %s", err, statuses(run))
			}
			if tt.kind == "finetune" && tt.done == 2 && !strings.Contains(strings.Join(second.notes, "\n"), "finetune: resumed from the checkpoint of step 2 of 5") {
				t.Errorf("notes %q", second.notes)
			}
			got := weights(t, dir)
			for path := range want {
				if got[path] != want[path] {
					t.Errorf("%s differs from that of an uninterrupted run", path)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d weight files, want %d", len(got), len(want))
			}
			loss := tracker.points[run.ID]["train/loss"]
			if len(loss) != len(wantLoss) {
				t.Fatalf("%d points of train/loss, want %d", len(loss), len(wantLoss))
			}
			for i := range loss {
				if loss[i].Step != wantLoss[i].Step || loss[i].Value != wantLoss[i].Value {
					t.Errorf("train/loss %d is %+v, uninterrupted %+v", i, loss[i], wantLoss[i])
				}
			}
		})
	}
}

func TestARunThatFailsSaysInWhichStepAndWhy(t *testing.T) {
	dir, r, tracker := afterOneRun(t)
	// A token that the base model's tokenizer has and its weights lack cannot be: damage the weights.
	base := firstBase(t, dir)
	own := filepath.Join(dir, "own")
	if err := os.CopyFS(own, os.DirFS(base)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(own, "model.safetensors")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole[:len(whole)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	run, _, err := r.Run(context.Background(), smallConfig(t, dir, "model.base_model="+own), RunOptions{})
	if err == nil || experiments.CodeOf(err) != experiments.CodeInvalid || !strings.Contains(err.Error(), "finetune: ") || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
	stored := tracker.runs[run.ID]
	if stored.Status != experiments.Failed || stored.Error != err.Error() || stored.EndedAt.IsZero() || statuses(stored) != "convert finished, finetune failed, replace queued, abtest queued, report queued" {
		t.Errorf("stored %s, %q, %s", stored.Status, stored.Error, statuses(stored))
	}
	if stored.Steps[1].Error == "" {
		t.Error("the failed step has no reason")
	}
	// With the weights mended, what was finished is taken over.
	if err := os.WriteFile(path, whole, 0o644); err != nil {
		t.Fatal(err)
	}
	run, _, err = r.Run(context.Background(), smallConfig(t, dir, "model.base_model="+own), RunOptions{})
	if err != nil || run.Status != experiments.Finished {
		t.Errorf("mended: %v, %s", err, statuses(run))
	}
}

func TestABaseModelThatIsNotWholeIsRefusedBeforeAnythingRuns(t *testing.T) {
	dir, r, tracker := afterOneRun(t)
	without := func(name string) string {
		own := t.TempDir()
		if err := os.CopyFS(own, os.DirFS(firstBase(t, dir))); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(own, name)); err != nil {
			t.Fatal(err)
		}
		return own
	}
	tests := []struct {
		name, base string
		set        []string
		code       experiments.Code
		want       string
	}{
		{"no tokenizer", without("tokenizer.json"), nil, experiments.CodeInvalid, "no tokenizer.json in the model folder"},
		{"no config", without("config.json"), []string{"model.create.shape="}, experiments.CodeInvalid, "has no config.json"},
		{"no folder", filepath.Join(dir, "nowhere"), []string{"model.create.shape="}, experiments.CodeNotFound, "no such folder"},
		{"no rows", firstBase(t, dir), []string{"data.input_path=" + filepath.Join(dir, "none.jsonl")}, experiments.CodeNotFound, "none.jsonl"},
		{"a split that would be empty", firstBase(t, dir), []string{"data.val_ratio=0.001"}, experiments.CodeInvalid, "data.val_ratio 0.001"},
		{"a model A that is not there", firstBase(t, dir), []string{"test.model_a_path=" + filepath.Join(dir, "nowhere")}, experiments.CodeNotFound, "nowhere: no such model folder"},
		{"test data that is not there", firstBase(t, dir), []string{"test.test_data_path=" + filepath.Join(dir, "none.jsonl")}, experiments.CodeNotFound, "none.jsonl"},
	}
	runs := len(tracker.runs)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := r.Run(context.Background(), smallConfig(t, dir, append(tt.set, "model.base_model="+tt.base)...), RunOptions{})
			if err == nil || experiments.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %s with %q", err, tt.code, tt.want)
			}
			if len(tracker.runs) != runs {
				t.Error("a run was recorded")
			}
		})
	}
}

func TestARealModelIsABaseModel(t *testing.T) {
	base := realdata.Path(t, "models/stories260K")
	r, _ := newRunner(t)
	dir := t.TempDir()
	writeRows(t, filepath.Join(dir, "rows.jsonl"), 48)
	run, _, err := r.Run(context.Background(), smallConfig(t, dir, "model.base_model="+base, "data.max_length=140", "so8t.num_train_epochs=0", "data.val_ratio=0.2"), RunOptions{})
	if err != nil || statuses(run) != "convert finished, finetune finished, replace finished, abtest finished, report finished" {
		t.Fatalf("%v, %s", err, statuses(run))
	}
	result, err := ReadABResult(run.Steps[3].Output)
	if err != nil || result.Arms[0].Model != base || result.Arms[0].Kind != "hf" || result.Arms[1].Kind != "so8t" {
		t.Errorf("%+v %v", result.Arms, err)
	}
}

func TestARunThatIsResumedIsTheSameRunWithItsCurvesOnce(t *testing.T) {
	dir, r, tracker := afterOneRun(t)
	want := firstPoints(t)
	for _, s := range firstRun(t).Steps {
		if s.Kind == "finetune" {
			if err := os.RemoveAll(inCopy(t, dir, s.Output)); err != nil {
				t.Fatal(err)
			}
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r.Watcher = &interrupter{kind: "finetune", done: 2, cancel: cancel}
	first, _, err := r.Run(ctx, smallConfig(t, dir), RunOptions{Name: "mine"})
	if err == nil || first.Status != experiments.Interrupted {
		t.Fatalf("%s, %v", first.Status, err)
	}
	tagged := tracker.runs[first.ID]
	tagged.Tags = map[string]string{"kind": "pipeline", "team": "Tokyo"}
	tracker.runs[first.ID] = tagged
	tracker.points[first.ID]["own"] = []experiments.Point{{Step: 1}} // logged by someone else
	r.Watcher = nil
	again, _, err := r.Run(context.Background(), smallConfig(t, dir), RunOptions{RunID: first.ID, Resume: true})
	if err != nil {
		t.Fatal(err)
	}
	if stored := tracker.runs[first.ID]; again.ID != first.ID || stored.Status != experiments.Finished || stored.Error != "" || !stored.CreatedAt.Equal(first.CreatedAt) || stored.Name != "mine" || stored.Tags["team"] != "Tokyo" {
		t.Errorf("%+v", stored)
	}
	got := tracker.points[first.ID]
	for _, name := range []string{"pretrain/loss", "train/loss", "eval/loss", "abtest/a/accuracy"} {
		if len(got[name]) != len(want[name]) {
			t.Errorf("%s has %d points, want %d", name, len(got[name]), len(want[name]))
		}
	}
	if len(got["own"]) != 1 {
		t.Error("a series that the pipeline does not log was touched")
	}
}

func TestWhatTheDeviceHasToSayIsToldToWhoFollowsARun(t *testing.T) {
	dir, r, _ := afterOneRun(t)
	r.Engine.Notes = []string{"it is a small one"}
	for _, heard := range []*said{nil, {}} {
		if heard != nil {
			r.Watcher = heard
		}
		run, upToDate, err := r.Run(context.Background(), smallConfig(t, dir), RunOptions{RunID: "again"})
		if err != nil || upToDate || run.Status != experiments.Finished || strings.Contains(statuses(run), "finished") {
			t.Fatalf("%v: %s", err, statuses(run))
		}
		if heard != nil && !slices.Contains(heard.notes, "it is a small one") {
			t.Errorf("%q", heard.notes)
		}
	}
}

func TestABaseModelThatIsNotTrainedIsTheFreshOne(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "base")
	err := (&Engine{}).createBase(context.Background(), dir, config.Create{Shape: "micro", VocabSize: 320}, []string{"open the window please"}, 96, 1, silent{})
	if err != nil || !exists(filepath.Join(dir, "model.safetensors")) || exists(baseWork(dir)) {
		t.Errorf("%v", err)
	}
}

func TestARunThatIsCutShortAsItBeginsSaysThatItResumes(t *testing.T) {
	dir := t.TempDir()
	writeRows(t, filepath.Join(dir, "rows.jsonl"), 64)
	r, tracker := newRunner(t)
	chatBase(t, filepath.Join(dir, "base"))
	ctx, cancel := context.WithCancel(context.Background())
	r.Watcher = &interrupter{kind: "convert", done: -1, cancel: cancel}
	_, _, err := r.Run(ctx, smallConfig(t, dir, "model.create.shape="), RunOptions{RunID: "cut"})
	run := tracker.runs["cut"]
	if experiments.CodeOf(err) != experiments.CodeUnavailable || run.Status != experiments.Interrupted || run.Error != "interrupted; the same configuration resumes" {
		t.Errorf("%v; %s: %s", err, run.Status, run.Error)
	}
}
