package store

import (
	"strings"
	"testing"

	"triality/experiments"
)

func TestExperimentNamesAreUniqueAndFreedByRenameAndDelete(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	a := experiment(t, s, "安全性 A")
	if again := experiment(t, s, "安全性 A"); again.ID != a.ID {
		t.Errorf("EnsureExperiment made a second %s", again.ID)
	}
	_, err := s.CreateExperiment(ctx, experiments.Experiment{Name: "安全性 A"})
	code(t, err, experiments.CodeConflict, a.ID)
	b, err := s.CreateExperiment(ctx, experiments.Experiment{Name: "b", Description: "d", Tags: map[string]string{"k": "v"}, ID: "chosen by the caller"})
	if err != nil || b.ID == "chosen by the caller" || b.CreatedAt.IsZero() {
		t.Fatalf("created %+v, error %v", b, err)
	}
	rename := func(to string) error {
		_, err := s.UpdateExperiment(ctx, b.ID, func(e *experiments.Experiment) error { e.Name = to; return nil })
		return err
	}
	code(t, rename("安全性 A"), experiments.CodeConflict)
	code(t, rename(" "), experiments.CodeInvalid)
	if err := rename("c"); err != nil {
		t.Fatal(err)
	}
	if got := experiment(t, s, "c"); got.ID != b.ID || got.Description != "d" || got.Tags["k"] != "v" || !got.UpdatedAt.After(got.CreatedAt) {
		t.Errorf("renamed: %+v", got)
	}
	if got := experiment(t, s, "b"); got.ID == b.ID {
		t.Error("the old name still leads to the renamed experiment")
	}
	if err := s.PurgeExperiment(ctx, a.ID); err != nil {
		t.Fatal(err)
	}
	if got := experiment(t, s, "安全性 A"); got.ID == a.ID {
		t.Error("a deleted experiment came back")
	}
	sound(t, s)
}

func TestBadExperimentNamesAreRefused(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	for why, name := range map[string]string{
		"empty": "", "blank": " \u3000", "a line break": "a\nb", "a zero byte": "a\x00b", "not UTF-8": "a\xff",
		"too long": strings.Repeat("x", MaxName+1),
	} {
		_, err := s.EnsureExperiment(ctx, name)
		if experiments.CodeOf(err) != experiments.CodeInvalid {
			t.Errorf("%s: error %v", why, err)
		}
	}
}

func TestUnknownExperimentsAreNotFound(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	_, err := s.Experiment(ctx, "nope")
	code(t, err, experiments.CodeNotFound, `"nope"`)
	_, err = s.UpdateExperiment(ctx, "nope", func(*experiments.Experiment) error { return nil })
	code(t, err, experiments.CodeNotFound)
	code(t, s.PurgeExperiment(ctx, "nope"), experiments.CodeNotFound)
	code(t, s.SaveRun(ctx, experiments.Run{ID: "r", ExperimentID: "nope", Name: "r", Status: experiments.Running}), experiments.CodeNotFound)
}

func TestExperimentsAreListedNewestFirstPageByPage(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	for _, n := range []string{"a", "b", "c", "d", "e"} {
		experiment(t, s, n)
	}
	e := experiment(t, s, "c")
	save(t, s, experiments.Run{ID: "r1", ExperimentID: e.ID})
	r2 := save(t, s, experiments.Run{ID: "r2", ExperimentID: e.ID})
	var got []string
	for cursor, page := "", 0; page == 0 || cursor != ""; page++ {
		items, next, err := s.Experiments(ctx, 2, cursor)
		if err != nil || page > 3 {
			t.Fatalf("page %d: error %v", page, err)
		}
		for _, it := range items {
			got = append(got, it.Name)
			if it.Name == "c" {
				last, err := s.Run(ctx, r2.ID)
				if err != nil || it.Runs != 2 || it.LastRunAt.UnixMicro() != last.CreatedAt.UnixMicro() {
					t.Errorf("c has %d runs, the last at %v, want 2 and %v (error %v)", it.Runs, it.LastRunAt, last.CreatedAt, err)
				}
			}
		}
		cursor = next
	}
	if s := strings.Join(got, ""); s != "edcba" {
		t.Errorf("order %s", s)
	}
}
