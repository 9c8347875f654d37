package store

import (
	"fmt"
	"strings"
	"testing"

	"triality/experiments"
)

func TestFoldersCountWhatIsInAndBelowAndMoveWithIt(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	for i, folder := range []string{"", "team", "team/p", "team/p/q", "teams", "team/p"} {
		e, err := s.CreateExperiment(ctx, experiments.Experiment{Name: fmt.Sprint("e", i), Folder: folder})
		if err != nil {
			t.Fatal(err)
		}
		save(t, s, experiments.Run{ID: fmt.Sprint("r", i), ExperimentID: e.ID})
	}
	look := func() string {
		t.Helper()
		all, err := s.Folders(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(all)
	}
	if got, want := look(), "[{team 4 4} {team/p 3 3} {team/p/q 1 1} {teams 1 1}]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for folder, want := range map[string]int{"": 6, "team": 4, "team/p": 3, "tea": 0} {
		if got, _, err := s.ExperimentsIn(ctx, folder, 0, ""); err != nil || len(got) != want {
			t.Errorf("%q has %d experiments, %v", folder, len(got), err)
		}
	}
	if got := find(t, s, "folder LIKE 'team/%'", nil); got.Total != 3 {
		t.Errorf("a search finds %d", got.Total)
	}
	if n, err := s.MoveFolder(ctx, "team/p", "old/p"); err != nil || n != 3 {
		t.Errorf("%d %v", n, err)
	}
	if got, want := look(), "[{old 3 3} {old/p 3 3} {old/p/q 1 1} {team 1 1} {teams 1 1}]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if n, err := s.MoveFolder(ctx, "old/p", ""); err != nil || n != 3 {
		t.Errorf("%d %v", n, err)
	}
	if got, want := look(), "[{q 1 1} {team 1 1} {teams 1 1}]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	_, err := s.MoveFolder(ctx, "nope", "x")
	code(t, err, experiments.CodeNotFound, "folder")
	// Where one would be too deep, none moves.
	_, err = s.MoveFolder(ctx, "", strings.Repeat("x", MaxFolder-1))
	code(t, err, experiments.CodeInvalid, "folder")
	if got, want := look(), "[{q 1 1} {team 1 1} {teams 1 1}]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, folder := range []string{"/", "/a", "a/", "a//b", " a", "a/..", "a\x01", "\xff", strings.Repeat("x", MaxFolder+1)} {
		_, err := s.CreateExperiment(ctx, experiments.Experiment{Name: "odd", Folder: folder})
		code(t, err, experiments.CodeInvalid, "folder")
	}
	sound(t, s)
}

func TestRunsAreNestedWithoutLoopsAndFoundByTheirParent(t *testing.T) {
	s, e := fresh(t, Options{})
	for _, id := range []string{"a", "b", "c"} {
		save(t, s, experiments.Run{ID: id, ExperimentID: e, Status: experiments.Finished})
	}
	under := func(id, parent string) error {
		_, err := s.UpdateRun(ctx, id, func(r *experiments.Run) error { r.ParentID = parent; return nil })
		return err
	}
	find(t, s, "", nil) // so that the index follows
	for _, link := range [][2]string{{"b", "a"}, {"c", "b"}} {
		if err := under(link[0], link[1]); err != nil {
			t.Fatal(err)
		}
	}
	code(t, under("a", "a"), experiments.CodeInvalid, "itself")
	code(t, under("a", "c"), experiments.CodeInvalid, "itself")
	code(t, under("a", "nope"), experiments.CodeInvalid, "no such run")
	_, err := s.CreateRun(ctx, experiments.Run{ID: "d", Name: "d", ExperimentID: e, Status: experiments.Running, ParentID: "nope"})
	code(t, err, experiments.CodeInvalid, "no such run")
	look := func() string {
		return fmt.Sprint(ids(find(t, s, "parent = a", nil)), ids(find(t, s, "parent IS NULL", []string{"id"})), find(t, s, "id = a", nil).Items[0].Children)
	}
	if got, want := look(), "[b] [a r] 1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	token, err := s.DeleteRun(ctx, "b")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := look(), "[] [a r] 0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if _, err := s.Undo(ctx, token, false); err != nil {
		t.Fatal(err)
	}
	if got, want := look(), "[b] [a r] 1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	deep := "a"
	for i := range maxNesting {
		id := fmt.Sprint("deep", i)
		if _, err = s.CreateRun(ctx, experiments.Run{ID: id, Name: id, ExperimentID: e, Status: experiments.Finished, ParentID: deep}); err != nil {
			break
		}
		deep = id
	}
	if _, err = s.CreateRun(ctx, experiments.Run{ID: "last", Name: "last", ExperimentID: e, Status: experiments.Finished, ParentID: deep}); err == nil {
		t.Error("runs are nested without end")
	}
}

func TestARunIsMovedWhileItIsLogged(t *testing.T) {
	s, e := fresh(t, Options{})
	to := experiment(t, s, "to").ID
	if _, err := s.UpdateRun(ctx, "r", func(r *experiments.Run) error { r.ExperimentID = to; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.LogMetrics(ctx, "r", experiments.MetricBatch{"m": {{Step: 1}}}); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]int{e: 0, to: 1} {
		if got, err := s.Experiment(ctx, id); err != nil || got.Runs != want {
			t.Errorf("%s has %d runs, %v", got.Name, got.Runs, err)
		}
	}
	_, err := s.UpdateRun(ctx, "r", func(r *experiments.Run) error { r.ExperimentID = "nope"; return nil })
	code(t, err, experiments.CodeNotFound, "experiment")
	sound(t, s)
}
