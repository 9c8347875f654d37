package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"triality/experiments"
	"triality/experiments/pipeline"
	"triality/server/books"
	"triality/server/jobs"
	"triality/server/store"
	"triality/server/worker"
)

// teamBook is a notebook whose results lie in OUT.
const teamBook = `---
title: Of the team
name: team
output_dir: OUT
device: cpu
threads: 1
---

` + "```triality convert id=rows" + `
base_model: IN/model
data: {input_path: IN/rows.jsonl, max_length: 64, val_ratio: 0.2, test_ratio: 0.2}
` + "```" + `

` + "```triality finetune id=tune" + `
base_model: IN/model
dataset: ${rows.dataset}
max_length: 64
training: {num_train_epochs: 0.5, per_device_train_batch_size: 8, lora_r: 2}
` + "```" + `

` + "```triality abtest id=ab" + `
model_a: IN/model
model_b: ${tune.model}
test_data: ${rows.dataset}
max_length: 64
test: {warmup: 1, bootstrap_resamples: 100}
` + "```" + `

` + "```triality note id=said" + `
text: "A has {{ab.accuracy.A}}."
` + "```" + `
`

// colleague is someone with a data folder, a queue of jobs and a notebook of their own.
type colleague struct {
	*testing.T
	st   *store.Store
	q    *jobs.Queue
	desk *books.Desk
	text string
}

func newColleague(t *testing.T, in, where, by string) *colleague {
	t.Helper()
	dir := t.TempDir()
	st, err := store.Open(filepath.Join(dir, "data"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	q, err := jobs.New(context.Background(), st, worker.Process{Shared: worker.Shared{Where: where, By: by}}, jobs.Options{Slots: 1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	desk := books.NewDesk(context.Background(), st, q)
	t.Cleanup(func() {
		desk.Close()
		if err := q.Close(); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return &colleague{t, st, q, desk, strings.NewReplacer("OUT", filepath.Join(dir, "work"), "IN", in).Replace(teamBook)}
}

// run runs the notebook and gives the run's steps with their states.
func (c *colleague) run() (experiments.Run, string) {
	c.Helper()
	run, err := c.q.Submit(c.Context(), experiments.Submission{Config: c.text, Book: "team.md"})
	if err != nil {
		c.Fatal(err)
	}
	for deadline := time.Now().Add(2 * time.Minute); !run.Status.Done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.Fatalf("the run is %s", run.Status)
		}
		if run, err = c.st.Run(c.Context(), run.ID); err != nil {
			c.Fatal(err)
		}
	}
	if run.Status != experiments.Finished {
		c.Fatalf("the run is %s: %s", run.Status, run.Error)
	}
	var out []string
	for _, s := range run.Steps {
		out = append(out, s.Title()+" "+string(s.Status))
	}
	return run, strings.Join(out, ", ")
}

// states are those of the cells, with who made what they show.
func (c *colleague) states() (books.Status, string) {
	c.Helper()
	s, err := c.desk.Status(c.Context(), "team.md", c.text)
	if err != nil {
		c.Fatal(err)
	}
	var out []string
	for _, cell := range s.Cells {
		text := cell.ID + " " + string(cell.State)
		if cell.By != "" {
			text += " from " + cell.By
		}
		out = append(out, text)
	}
	return s, strings.Join(out, ", ")
}

func (c *colleague) artifact(run, path string) []byte {
	c.Helper()
	_, f, err := c.st.OpenArtifact(c.Context(), run, path)
	if err != nil {
		c.Fatal(err)
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		c.Fatal(err)
	}
	return text
}

// Acceptance 5 of issue 12: a second data folder opens a colleague's notebook and shows its outputs without a second of training;
// an edit of one cell runs exactly that cell and those that depend on it.
func TestASecondDataFolderOpensAColleaguesNotebook(t *testing.T) {
	in := t.TempDir()
	if err := os.WriteFile(filepath.Join(in, "rows.jsonl"), []byte(rows(32)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := pipeline.InitModel(filepath.Join(in, "model"), "llama", "micro", 320, []string{rows(32)}, 1); err != nil {
		t.Fatal(err)
	}
	where := filepath.Join(t.TempDir(), "team")
	alice, bob := newColleague(t, in, where, "alice@one"), newColleague(t, in, where, "bob@two")
	first, got := alice.run()
	if got != "rows finished, tune finished, ab finished, said finished" {
		t.Fatalf("alice's run: %s", got)
	}

	s, got := bob.states()
	if got != "rows cached from alice@one, tune cached from alice@one, ab cached from alice@one, said fresh" {
		t.Fatalf("bob opens it: %s; %v", got, s.Problems)
	}
	runs, _, err := bob.st.Runs(t.Context(), store.RunFilter{})
	if err != nil || len(runs) != 1 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	for _, step := range runs[0].Steps {
		if step.Status != experiments.Reused {
			t.Errorf("%s is %s: something ran", step.Title(), step.Status)
		}
	}
	for i, cell := range s.Cells[:3] {
		if took := first.Steps[i].EndedAt.Sub(first.Steps[i].StartedAt).Seconds(); cell.Run != runs[0].ID || cell.Seconds <= 0 || cell.Seconds > took+0.001 {
			t.Errorf("%s shows run %q and saved %g s of %g s", cell.ID, cell.Run, cell.Seconds, took)
		}
	}
	for _, path := range []string{"abtest/results.json", "convert/summary.json"} {
		if theirs, own := alice.artifact(first.ID, path), bob.artifact(runs[0].ID, path); !bytes.Equal(theirs, own) {
			t.Errorf("%s: %d bytes, alice's has %d", path, len(own), len(theirs))
		}
	}
	points := func(c *colleague, run string) string {
		var out []string
		err := c.st.Points(t.Context(), run, "train/loss", func(_ int64, part []experiments.Point) error {
			out = append(out, fmt.Sprint(part))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(out, "")
	}
	if a, b := points(alice, first.ID), points(bob, runs[0].ID); a != b || a == "" {
		t.Errorf("the curve is %s, alice's %s", b, a)
	}
	if found, err := filepath.Glob(filepath.Join(filepath.Dir(where), "..", "*", "work", "finetune", ".*", "model", "*.safetensors")); err != nil || len(found) > 0 {
		t.Errorf("weights were fetched to look: %v, %v", found, err)
	}

	bob.text = strings.Replace(bob.text, "warmup: 1", "warmup: 0", 1)
	if _, got := bob.states(); got != "rows cached from alice@one, tune cached from alice@one, ab stale, said waits" {
		t.Errorf("after an edit: %s", got)
	}
	if _, got := bob.run(); got != "rows reused, tune reused, ab finished, said finished" {
		t.Errorf("bob's run: %s", got)
	}
	if _, got := bob.states(); got != "rows cached from alice@one, tune cached from alice@one, ab fresh, said fresh" {
		t.Errorf("after it: %s", got)
	}
	alice.text = strings.Replace(alice.text, "warmup: 1", "warmup: 0", 1)
	if _, got := alice.states(); got != "rows fresh, tune fresh, ab cached from bob@two, said fresh" {
		t.Errorf("alice opens what bob changed: %s", got)
	}
}
