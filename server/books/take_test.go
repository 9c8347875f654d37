package books

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/graph"
	"triality/experiments/pipeline"
	"triality/server/store"
)

// Results of someone else are shown by a run that nothing computed, made once; what an edit changes is out of date.
func TestAColleaguesResultsAreShownWithFromWhomAndWhatTheySaved(t *testing.T) {
	b := newBench(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "metrics.json"), []byte(`{"train/loss": [{"step": 1, "time": 5, "value": 0.5}]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "summary.json"), []byte(`{"rows": 3}`), 0o644); err != nil {
		t.Fatal(err)
	}
	steps, err := b.plan.Plan(t.Context(), three, "")
	if err != nil {
		t.Fatal(err)
	}
	b.plan.shared = map[string]*pipeline.SharedResult{}
	for _, s := range steps {
		b.plan.done[s.Key] = true
		b.plan.shared[s.Key] = &pipeline.SharedResult{By: "alice@one", Dir: dir, Prefix: s.Name + "/", Artifacts: []graph.Artifact{{File: "summary.json", Path: s.Name + "/summary.json", MediaType: "application/json"}}}
	}
	var s Status
	for range 3 {
		s = b.status("b.md", three)
	}
	for _, c := range s.Cells {
		if c.State != Cached || c.By != "alice@one" || c.Seconds != 23 || c.Run == "" || c.Run != s.Cells[0].Run || !c.Ended.Equal(sharedAt) {
			t.Errorf("%+v", c)
		}
	}
	runs, _, err := b.st.Runs(t.Context(), store.RunFilter{})
	if err != nil || len(runs) != 1 || runs[0].Tags["shared"] != "alice@one" || !strings.Contains(runs[0].Name, "alice@one") {
		t.Fatalf("%+v, %v", runs, err)
	}
	for _, step := range runs[0].Steps {
		if step.Status != experiments.Reused {
			t.Errorf("%+v", step)
		}
	}
	if e, err := b.st.Experiment(t.Context(), runs[0].ExperimentID); err != nil || e.Name != "ranks" {
		t.Errorf("filed under %q, %v", e.Name, err)
	}
	var points []experiments.Point
	if err := b.st.Points(t.Context(), runs[0].ID, "tune/train/loss", func(_ int64, part []experiments.Point) error {
		points = append(points, part...)
		return nil
	}); err != nil || len(points) != 1 || points[0].Value != 0.5 {
		t.Errorf("%v, %v", points, err)
	}
	if files, err := b.st.Artifacts(t.Context(), runs[0].ID); err != nil || len(files) != 3 {
		t.Errorf("%v, %v", files, err)
	}
	s = b.status("b.md", strings.Replace(three, "lora_r: 8", "lora_r: 16", 1))
	if got := states(s); got != "rows cached, tune stale, ab stale" || !slices.Equal(cellOf(t, s, "ab").Changes, []string{"tune"}) {
		t.Errorf("after an edit: %s by %v", got, cellOf(t, s, "ab").Changes)
	}
	// An answer for a text that is not of a notebook, and one that the tracker refuses, leave the states as they are.
	b.plan.shared[steps[0].Key].Dir = t.TempDir()
	if got := states(b.status("other.md", three)); got != "rows cached, tune cached, ab cached" {
		t.Errorf("files that are gone meanwhile: %s", got)
	}
}
