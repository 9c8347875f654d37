package store

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"triality/experiments"
)

func TestARunIsReadBackAsItWasSavedAlsoAfterReopening(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	e := experiment(t, s, "e")
	at := time.Date(2026, 5, 1, 9, 30, 0, 123456789, time.FixedZone("JST", 9*3600))
	r := experiments.Run{
		ID: "run-1", ExperimentID: e.ID, Name: "<b>名前</b>", Status: experiments.Failed, CreatedAt: at, StartedAt: at.UTC(),
		EndedAt: at.UTC(), Error: "line 3", Params: map[string]string{"lr": "1e-4"}, Tags: map[string]string{"a": "b"},
		Summary: map[string]float64{"own": 2, "bad": math.NaN()}, Config: "a: 1\n",
		Steps: []experiments.Step{{Kind: "finetune", Key: "k", Status: experiments.Failed,
			Progress: &experiments.Progress{Done: 1, Total: 2, Unit: "steps", Rate: math.Inf(1)}}},
	}
	save(t, s, r)
	if !math.IsInf(r.Steps[0].Progress.Rate, 1) || !math.IsNaN(r.Summary["bad"]) {
		t.Error("SaveRun changed the caller's run")
	}
	want := r
	want.CreatedAt = at.UTC()
	want.Summary = map[string]float64{"own": 2}
	want.Steps = []experiments.Step{r.Steps[0]}
	want.Steps[0].Progress = &experiments.Progress{Done: 1, Total: 2, Unit: "steps"}
	for range 2 {
		got, err := s.Run(ctx, "run-1")
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("error %v\n got %+v\nwant %+v", err, got, want)
		}
		s.Close()
		s = open(t, dir, Options{})
	}
	sound(t, s)
}

func TestSavingARunAgainReplacesItAndMovesItInTheLists(t *testing.T) {
	s, e := fresh(t, Options{})
	first, err := s.Run(ctx, "r")
	if err != nil {
		t.Fatal(err)
	}
	save(t, s, experiments.Run{ID: "r", ExperimentID: e, Name: "new", Status: experiments.Finished})
	got, err := s.Run(ctx, "r")
	if err != nil || got.Name != "new" || !got.CreatedAt.Equal(first.CreatedAt) {
		t.Errorf("%+v, error %v; want the name new and CreatedAt kept", got, err)
	}
	for status, want := range map[experiments.Status]int{experiments.Running: 0, experiments.Finished: 1} {
		if items, _, err := s.Runs(ctx, RunFilter{Status: status}); err != nil || len(items) != want {
			t.Errorf("%d runs are %s, want %d; error %v", len(items), status, want, err)
		}
	}
	sound(t, s)
}

func TestBadRunsAreRefused(t *testing.T) {
	s, e := fresh(t, Options{})
	good := experiments.Run{ID: "x", ExperimentID: e, Name: "x", Status: experiments.Running}
	for why, spoil := range map[string]func(*experiments.Run){
		"no id":                 func(r *experiments.Run) { r.ID = "" },
		"an id with a path":     func(r *experiments.Run) { r.ID = "../x" },
		"an id with a zero":     func(r *experiments.Run) { r.ID = "a\x00b" },
		"no name":               func(r *experiments.Run) { r.Name = "" },
		"an unknown status":     func(r *experiments.Run) { r.Status = "paused" },
		"a name of line breaks": func(r *experiments.Run) { r.Name = "a\nb" },
	} {
		r := good
		spoil(&r)
		if err := s.SaveRun(ctx, r); experiments.CodeOf(err) != experiments.CodeInvalid {
			t.Errorf("%s: error %v", why, err)
		}
	}
	if _, err := s.CreateRun(ctx, good); err != nil {
		t.Fatal(err)
	}
	_, err := s.CreateRun(ctx, good)
	code(t, err, experiments.CodeConflict)
}

func TestRunsAreFilteredAndPaged(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	e1, e2 := experiment(t, s, "one"), experiment(t, s, "two")
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 7 {
		r := experiments.Run{ID: fmt.Sprint("r", i), ExperimentID: e1.ID, CreatedAt: start.Add(time.Duration(i) * time.Second), Status: experiments.Finished}
		if i%3 == 0 {
			r.ExperimentID = e2.ID
		}
		if i%2 == 0 {
			r.Status, r.Params = experiments.Failed, map[string]string{"base": "Qwen3"}
		}
		if i == 4 {
			r.Summary = map[string]float64{"abtest/metric/brier_c.A": 0.5}
		}
		save(t, s, r)
	}
	tests := map[string]struct {
		filter RunFilter
		want   string
	}{
		"all, the newest first":          {RunFilter{}, "r6 r5 r4 r3 r2 r1 r0"},
		"of an experiment":               {RunFilter{ExperimentID: e2.ID}, "r6 r3 r0"},
		"of a status":                    {RunFilter{Status: experiments.Finished}, "r5 r3 r1"},
		"of an experiment and a status":  {RunFilter{ExperimentID: e2.ID, Status: experiments.Failed}, "r6 r0"},
		"with a text in a parameter":     {RunFilter{Query: "qwen"}, "r6 r4 r2 r0"},
		"with a text in a metric's name": {RunFilter{Query: "Brier_C"}, "r4"},
		"with a text in the name":        {RunFilter{Query: "RUN R3"}, "r3"},
		"with a text nothing has":        {RunFilter{Query: "zzz"}, ""},
	}
	for name, tt := range tests {
		for _, limit := range []int{0, 1, 2, 3, 7} {
			t.Run(fmt.Sprint(name, " by ", limit), func(t *testing.T) {
				var got []string
				for page := 0; page == 0 || tt.filter.Cursor != ""; page++ {
					tt.filter.Limit = limit
					items, next, err := s.Runs(ctx, tt.filter)
					if err != nil || page > 8 {
						t.Fatalf("page %d: error %v", page, err)
					}
					for _, r := range items {
						got = append(got, r.ID)
					}
					tt.filter.Cursor = next
				}
				if g := strings.Join(got, " "); g != tt.want {
					t.Errorf("got %s, want %s", g, tt.want)
				}
			})
		}
	}
	_, _, err := s.Runs(ctx, RunFilter{ExperimentID: "nope"})
	code(t, err, experiments.CodeNotFound)
	_, _, err = s.Runs(ctx, RunFilter{Cursor: "???"})
	code(t, err, experiments.CodeInvalid, "cursor")
	_, _, err = s.Runs(ctx, RunFilter{Status: "odd"})
	code(t, err, experiments.CodeInvalid)
}

func TestUpdateRunKeepsWhatIdentifiesIt(t *testing.T) {
	s, e := fresh(t, Options{})
	got, err := s.UpdateRun(ctx, "r", func(r *experiments.Run) error {
		r.ID, r.CreatedAt, r.Name = "other", time.Time{}, "renamed"
		return nil
	})
	if err != nil || got.ID != "r" || got.ExperimentID != e || got.CreatedAt.IsZero() || got.Name != "renamed" {
		t.Errorf("%+v, error %v", got, err)
	}
	_, err = s.UpdateRun(ctx, "r", func(r *experiments.Run) error { r.ExperimentID = "other"; return nil })
	code(t, err, experiments.CodeNotFound)
	_, err = s.UpdateRun(ctx, "r", func(r *experiments.Run) error { r.Status = "odd"; return nil })
	code(t, err, experiments.CodeInvalid)
	_, err = s.UpdateRun(ctx, "nope", func(r *experiments.Run) error { return nil })
	code(t, err, experiments.CodeNotFound)
}

func TestDeletingARunTakesAllOfItAndNothingElse(t *testing.T) {
	s, e := fresh(t, Options{})
	save(t, s, experiments.Run{ID: "r2", ExperimentID: e}) // "r" is a prefix of it
	for _, id := range []string{"r", "r2"} {
		if err := s.LogMetrics(ctx, id, experiments.MetricBatch{"loss": make([]experiments.Point, 600)}); err != nil {
			t.Fatal(err)
		}
		for path, text := range map[string]string{"shared.txt": "same", "own.txt": id} {
			if _, err := s.SaveArtifact(ctx, id, path, "", strings.NewReader(text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	code(t, s.PurgeRun(ctx, "r"), experiments.CodeConflict, "running", EndByPatch)
	save(t, s, experiments.Run{ID: "r", ExperimentID: e, Status: experiments.Finished})
	if err := s.PurgeRun(ctx, "r"); err != nil {
		t.Fatal(err)
	}
	code(t, s.PurgeRun(ctx, "r"), experiments.CodeNotFound)
	if _, _, err := s.OpenArtifact(ctx, "r", "own.txt"); experiments.CodeOf(err) != experiments.CodeNotFound {
		t.Errorf("the deleted run's artifact: %v", err)
	}
	for path, want := range map[string]string{"shared.txt": "same", "own.txt": "r2"} {
		if got := artifact(t, s, "r2", path); got != want {
			t.Errorf("%s of the other run: %q", path, got)
		}
	}
	if got := points(t, s, "r2", "loss"); len(got) != 600 {
		t.Errorf("the other run has %d points", len(got))
	}
	if n := files(t, s); n != 2 {
		t.Errorf("%d files are left, want 2", n)
	}
	sound(t, s)
	if err := s.PurgeExperiment(ctx, e); experiments.CodeOf(err) != experiments.CodeConflict {
		t.Errorf("deleting an experiment with a running run: %v", err)
	}
	save(t, s, experiments.Run{ID: "r2", ExperimentID: e, Status: experiments.Failed})
	if err := s.PurgeExperiment(ctx, e); err != nil {
		t.Fatal(err)
	}
	if n := files(t, s); n != 0 {
		t.Errorf("%d files are left, want 0", n)
	}
	sound(t, s)
}

func TestAPageOfLargeRunsHasFewerAndTheNextGoesOn(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	ctx := context.Background()
	e, err := s.EnsureExperiment(ctx, "e")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("x", 1<<20)
	for range 20 {
		id, err := NewRunID()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.CreateRun(ctx, experiments.Run{ID: id, ExperimentID: e.ID, Name: "large", Status: experiments.Running, Config: text}); err != nil {
			t.Fatal(err)
		}
	}
	seen, pages := map[string]bool{}, 0
	for cursor := ""; ; pages++ {
		items, next, err := s.Runs(ctx, RunFilter{Limit: 1000, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		if len(items) > maxPage>>20+1 {
			t.Errorf("a page of %d runs of 1 MiB", len(items))
		}
		for _, r := range items {
			seen[r.ID] = true
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	if len(seen) != 20 || pages != 1 {
		t.Errorf("%d runs on %d pages", len(seen), pages+1)
	}
}
