package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"triality/experiments"
	"triality/runtime/disk"
	"triality/runtime/disk/powercut"
	"triality/server/search"
)

// held is everything that a store holds of runs and experiments, byte for byte, without what changes and events left.
func held(t testing.TB, s *Store) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketExperiments, bucketNames, bucketRuns, bucketRunIndex, bucketSeries, bucketPoints, bucketArtifacts, bucketBlobRefs, bucketModules, bucketModuleUses, bucketDeleted} {
			err := tx.Bucket(name).ForEach(func(k, v []byte) error {
				out[string(name)+" "+string(k)] = string(v)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func sameHeld(t testing.TB, got, want map[string]string) {
	t.Helper()
	shown := 0
	for k := range maps.Keys(want) {
		if got[k] != want[k] && shown < 5 {
			t.Errorf("%q: %q, want %q", k, got[k], want[k])
			shown++
		}
	}
	for k := range maps.Keys(got) {
		if _, ok := want[k]; !ok && shown < 5 {
			t.Errorf("%q is there: %q", k, got[k])
			shown++
		}
	}
}

// furnished is a store whose run "full" has everything that a run may have, and 450 others; in another experiment "to".
func furnished(t testing.TB) (s *Store, from, to string, ids []string) {
	t.Helper()
	s = open(t, t.TempDir(), Options{})
	from, to = many(t, s, 450), experiment(t, s, "to").ID
	save(t, s, experiments.Run{ID: "full", Name: "実行", ExperimentID: from, Status: experiments.Failed, Error: "no", Notes: "# n", Config: "a: 1\n",
		CreatedAt: time.Unix(5, 123456789), Tags: map[string]string{"team": "a", "old": "1"}, Params: map[string]string{"lr": "1"}, Summary: map[string]float64{"x": 1},
		Steps: []experiments.Step{{Kind: "convert", Status: experiments.Failed, Notes: []string{"said"}}}, Job: &experiments.Job{Priority: 3, Attempt: 2, Death: "oom"}})
	if err := s.LogMetrics(ctx, "full", experiments.MetricBatch{"loss": {{Step: 1, Value: 0.5}, {Step: 2, Value: 0.25}}}); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"report.html", "abtest/results.json"} {
		if _, err := s.SaveArtifact(ctx, "full", p, "", strings.NewReader("text of "+p)); err != nil {
			t.Fatal(err)
		}
	}
	m := experiments.Module{SHA256: "7f83b1657ff1fc53b92dc18148a1d65dfc2d4b1fa3d677284addd200126d9069", Name: "m"}
	if err := s.UseModule(ctx, "full", m, []byte("Hello World!")); err != nil {
		t.Fatal(err)
	}
	if err := s.HideModule(ctx, m.SHA256); err != nil { // its bytes are kept for the run alone
		t.Fatal(err)
	}
	for i := range 450 {
		ids = append(ids, fmt.Sprint("d", i))
	}
	return s, from, to, append(ids, "full")
}

func text(s string) *string { return &s }

func TestWhatIsUndoneIsAsItWasByteForByte(t *testing.T) {
	bulk := func(b Bulk) func(*Store, []string, string) (string, error) {
		return func(s *Store, ids []string, to string) (string, error) {
			b.IDs = ids
			if b.Action == ActionMove {
				b.Experiment = to
			}
			c, err := s.ChangeRuns(ctx, b)
			if err == nil && (c.State != ChangeDone || c.Changed != len(ids) || c.Skipped+c.Unchanged > 0) {
				err = fmt.Errorf("%+v", c)
			}
			return c.Token, err
		}
	}
	for name, do := range map[string]func(s *Store, ids []string, to string) (string, error){
		"tags":             bulk(Bulk{Action: ActionTag, Tags: map[string]*string{"team": text("z"), "old": nil, "new": text("")}}),
		"moving":           bulk(Bulk{Action: ActionMove}),
		"archiving":        bulk(Bulk{Action: ActionArchive}),
		"deletion of many": bulk(Bulk{Action: ActionDelete}),
		"deletion of one":  func(s *Store, _ []string, _ string) (string, error) { return s.DeleteRun(ctx, "full") },
		"deletion of all of an experiment": func(s *Store, _ []string, _ string) (string, error) {
			r, err := s.Run(ctx, "full")
			if err != nil {
				return "", err
			}
			return s.DeleteExperiment(ctx, r.ExperimentID)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, from, to, ids := furnished(t)
			look := func() string {
				return fmt.Sprint(find(t, s, "", []string{"metrics.loss", "id"}, "metrics.loss", "tags.team", "experiment_id", "count(a)"))
			}
			found := look()
			before := held(t, s)
			token, err := do(s, ids, to)
			if err != nil {
				t.Fatal(err)
			}
			sound(t, s)
			if strings.HasPrefix(name, "deletion") {
				_, err = s.Run(ctx, "full")
				code(t, err, experiments.CodeNotFound)
				_, _, err = s.OpenArtifact(ctx, "full", "report.html")
				code(t, err, experiments.CodeNotFound)
				code(t, s.Points(ctx, "full", "loss", nil), experiments.CodeNotFound)
				code(t, s.LogMetrics(ctx, "full", experiments.MetricBatch{"loss": {{Step: 3}}}), experiments.CodeNotFound)
				code(t, s.SaveRun(ctx, experiments.Run{ID: "full", Name: "n", ExperimentID: to, Status: experiments.Finished}), experiments.CodeConflict, token)
			}
			if look() == found {
				t.Error("a search finds what it found")
			}
			c, err := s.Undo(ctx, token, false)
			if err != nil || c.State != ChangeUndone || c.Left != 0 || c.Restored != c.Changed {
				t.Fatalf("%+v %v", c, err)
			}
			sameHeld(t, held(t, s), before)
			if now := look(); now != found {
				t.Errorf("a search finds\n%.500s\nwant\n%.500s", now, found)
			}
			sound(t, s)
			_, err = s.Undo(ctx, token, false)
			code(t, err, experiments.CodeConflict, "undone already")
			_, err = s.Undo(ctx, token, true)
			code(t, err, experiments.CodeConflict, "undone already")
			_ = from
		})
	}
}

func TestAnUndoAfterALaterChangeOfTheSameSaysSo(t *testing.T) {
	s, from, to, _ := furnished(t)
	change := func(b Bulk) Change {
		t.Helper()
		c, err := s.ChangeRuns(ctx, b)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	tagged := change(Bulk{IDs: []string{"full", "d1", "d2", "d1"}, Action: ActionTag, Tags: map[string]*string{"team": text("z")}})
	change(Bulk{IDs: []string{"d1"}, Action: ActionTag, Tags: map[string]*string{"team": text("y"), "other": text("1")}})
	before := held(t, s)
	_, err := s.Undo(ctx, tagged.Token, false)
	code(t, err, experiments.CodeConflict, "d1", "tags.team", "nothing was undone")
	sameHeld(t, held(t, s), before)
	c, err := s.Undo(ctx, tagged.Token, true)
	if err != nil || c.Restored != 2 || c.Left != 1 || len(c.Problems) != 1 || c.Problems[0].ID != "d1" {
		t.Errorf("%+v %v", c, err)
	}
	if r, err := s.Run(ctx, "d1"); err != nil || r.Tags["team"] != "y" {
		t.Errorf("%+v %v", r.Tags, err)
	}

	moved := change(Bulk{IDs: []string{"d3"}, Action: ActionMove, Experiment: to})
	deleted := change(Bulk{IDs: []string{"d3", "d4"}, Action: ActionDelete})
	_, err = s.Undo(ctx, moved.Token, false)
	code(t, err, experiments.CodeConflict, "d3", "deleted", deleted.Token)
	gone, err := s.DeleteExperiment(ctx, to)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Undo(ctx, deleted.Token, false)
	code(t, err, experiments.CodeConflict, "d3", "experiment", gone)
	// The rest comes back, and what could not does when its experiment is there again.
	if c, err = s.Undo(ctx, deleted.Token, true); err != nil || c.Restored != 1 || c.Left != 1 || c.State != ChangeDone {
		t.Errorf("%+v %v", c, err)
	}
	sound(t, s)
	if _, err = s.EnsureExperiment(ctx, "to"); err != nil {
		t.Fatal(err)
	}
	_, err = s.Undo(ctx, gone, false)
	code(t, err, experiments.CodeConflict, `"to"`, "rename")
	fresh, _ := s.EnsureExperiment(ctx, "to")
	if _, err := s.UpdateExperiment(ctx, fresh.ID, func(e *experiments.Experiment) error { e.Name = "to 2"; return nil }); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{gone, deleted.Token, moved.Token} {
		if c, err = s.Undo(ctx, token, false); err != nil || c.Left != 0 {
			t.Errorf("%+v %v", c, err)
		}
	}
	if r, err := s.Run(ctx, "d3"); err != nil || r.ExperimentID != from {
		t.Errorf("%+v %v", r, err)
	}
	sound(t, s)
}

func TestAChangeOfManyRefusesWhatIsWrongWholly(t *testing.T) {
	s, e := fresh(t, Options{})
	save(t, s, experiments.Run{ID: "old", ExperimentID: e, Status: experiments.Finished})
	before := held(t, s)
	_, err := s.ChangeRuns(ctx, Bulk{IDs: []string{"old", "nope"}, Action: ActionArchive})
	code(t, err, experiments.CodeNotFound, "nope")
	_, err = s.ChangeRuns(ctx, Bulk{IDs: []string{"old"}, Action: ActionMove, Experiment: "nope"})
	code(t, err, experiments.CodeNotFound, "experiment")
	_, err = s.ChangeRuns(ctx, Bulk{IDs: []string{"old"}, Action: "burn"})
	code(t, err, experiments.CodeInvalid, "burn")
	_, err = s.ChangeRuns(ctx, Bulk{Action: ActionArchive})
	code(t, err, experiments.CodeInvalid)
	_, err = s.Undo(ctx, "nope", false)
	code(t, err, experiments.CodeNotFound)
	sameHeld(t, held(t, s), before)
	// One that is under way is skipped, and the others go.
	c, err := s.ChangeRuns(ctx, Bulk{IDs: []string{"old", "r"}, Action: ActionDelete})
	if err != nil || c.Changed != 1 || c.Skipped != 1 || c.Problems[0].ID != "r" || !strings.Contains(c.Problems[0].Reason, "running") {
		t.Errorf("%+v %v", c, err)
	}
}

func TestOthersWriteWhileManyRunsAreChanged(t *testing.T) {
	s, _ := fresh(t, Options{})
	many(t, s, 3000)
	var ids []string
	for i := range 3000 {
		ids = append(ids, fmt.Sprint("d", i))
	}
	done := make(chan error, 1)
	go func() {
		c, err := s.ChangeRuns(ctx, Bulk{IDs: ids, Action: ActionDelete})
		if err == nil && c.Changed != 3000 {
			err = fmt.Errorf("%+v", c)
		}
		done <- err
	}()
	between := 0
	for n := int64(0); ; n++ {
		if err := s.LogMetrics(ctx, "r", experiments.MetricBatch{"m": {{Step: n}}}); err != nil {
			t.Fatal(err)
		}
		if left := count1(t, s, bucketDeleted); left > 0 && left < 3000 {
			between++
		}
		select {
		case err := <-done:
			if err != nil || between == 0 {
				t.Errorf("%v; %d writes got in between", err, between)
			}
			return
		default:
		}
	}
}

func TestAChangeThatWasCutShortIsFinishedOnOpening(t *testing.T) {
	for name, cut := range map[string]string{"while it was done": ChangeDoing, "while it was undone": ChangeUndoing, "while it was purged": changePurging} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, Options{})
			id := many(t, s, 1000)
			before := held(t, s)
			gone, cancel := context.WithCancel(ctx)
			cancel()
			c, err := s.newChange(ActionDelete)
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for i := range 1000 {
				ids = append(ids, fmt.Sprint("d", i))
			}
			s.sweeper.stop() // the process ends
			<-s.sweeper.stopped
			half := func(begin func(t *txn) error) {
				t.Helper()
				err := s.update(ctx, 1, func(t *txn) error {
					return errors.Join(begin(t), workOn(t, c.Token, &piece{busy: func() bool { return true }}))
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			whole := func() {
				t.Helper()
				err := s.update(ctx, 1, func(t *txn) error { return workOn(t, c.Token, &piece{keys: -1 << 30}) })
				if err != nil {
					t.Fatal(err)
				}
			}
			half(func(t *txn) error { return t.begin(&c, ids) })
			if n := count1(t, s, bucketDeleted); n == 0 || n == 1000 {
				t.Fatalf("%d are deleted", n)
			}
			if cut != ChangeDoing {
				whole()
				half(func(t *txn) error {
					c, err := changeOf(t.Tx, c.Token)
					c.State = cut
					return errors.Join(err, t.resume(&c))
				})
			}
			s.sweeper.await(gone, trashChange, c.Token)
			s.Close()
			s = open(t, dir, Options{})
			s.sweeper.idle(ctx)
			sound(t, s)
			runs, _, err := s.Runs(ctx, RunFilter{ExperimentID: id, Limit: 1000})
			if err != nil {
				t.Fatal(err)
			}
			switch cut {
			case ChangeDoing:
				if len(runs) != 0 || count1(t, s, bucketDeleted) != 1000 {
					t.Errorf("%d runs are left", len(runs))
				}
				if _, err := s.Undo(ctx, c.Token, false); err != nil {
					t.Fatal(err)
				}
				sameHeld(t, held(t, s), before)
			case ChangeUndoing:
				sameHeld(t, held(t, s), before)
			default:
				if n := count1(t, s, bucketDeleted) + count1(t, s, bucketSeries) + count1(t, s, bucketPoints) + count1(t, s, bucketChanges); n+len(runs) != 0 {
					t.Errorf("%d keys are left", n)
				}
			}
		})
	}
}

// The database's own files are bbolt's: what a cut leaves of a commit is whole or not begun. Beside it stand the files,
// which must outlive every cut until the commit that lets go of them.
func TestAFileOfADeletedRunOutlivesAPowerCutUntilItIsPurged(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	e := experiment(t, s, "e")
	save(t, s, experiments.Run{ID: "r", ExperimentID: e.ID, Status: experiments.Finished})
	removed := 0
	sum := ""
	rec := powercut.Record(t, dir, func(op disk.Op) error {
		if sum == "" || op.Kind != disk.OpRemove || filepath.Base(op.Path) != sum[2:] {
			return nil
		}
		removed++
		return s.view(ctx, func(tx *bbolt.Tx) error {
			if referred(tx, sum) || tx.Bucket(bucketDeleted).Stats().KeyN > 0 {
				t.Error("a file is removed while it can be brought back")
			}
			return nil
		})
	})
	a, err := s.SaveArtifact(ctx, "r", "f", "", strings.NewReader("the text"))
	if err != nil {
		t.Fatal(err)
	}
	sum = a.SHA256
	rec.Mark("stored")
	deleted, err := s.DeleteRun(ctx, "r")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Undo(ctx, deleted, false); err != nil {
		t.Fatal(err)
	}
	token, err := s.DeleteExperiment(ctx, e.ID)
	if err != nil {
		t.Fatal(err)
	}
	s.sweeper.idle(ctx)
	rec.Mark("purging")
	if err := s.PurgeChange(ctx, token); err != nil {
		t.Fatal(err)
	}
	rec.Mark("purged")
	rec.Check(t, func(cut powercut.Cut) error {
		there := holds(cut.Dir, sum, "the text")
		if cut.Marked("stored") && !cut.Marked("purging") && !there {
			return errors.New("the file is lost while the run can be brought back")
		}
		if cut.Marked("purged") && there {
			return errors.New("the file is there though it was purged")
		}
		return nil
	})
	if removed != 1 {
		t.Errorf("removed %d times", removed)
	}
}

func TestWhatWasDeletedLongAgoIsRemovedAndItsSpaceFreed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{KeepDeleted: time.Nanosecond})
	e := experiment(t, s, "e")
	save(t, s, experiments.Run{ID: "r", ExperimentID: e.ID, Status: experiments.Finished})
	save(t, s, experiments.Run{ID: "kept", ExperimentID: e.ID, Status: experiments.Finished})
	if _, err := s.SaveArtifact(ctx, "r", "f", "", strings.NewReader("the text")); err != nil {
		t.Fatal(err)
	}
	if err := s.LogMetrics(ctx, "r", experiments.MetricBatch{"m": {{Step: 1, Value: 2}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DeleteRun(ctx, "r"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ChangeRuns(ctx, Bulk{IDs: []string{"kept"}, Action: ActionArchive}); err != nil {
		t.Fatal(err)
	}
	if n := files(t, s); n != 1 {
		t.Errorf("%d files", n)
	}
	s.Close()
	s = open(t, dir, Options{})
	for range 2 { // expiry begins when the store is opened, and the sweeper goes on from there
		s.sweeper.idle(ctx)
	}
	if n := count1(t, s, bucketDeleted) + count1(t, s, bucketSeries) + count1(t, s, bucketPoints) + count1(t, s, bucketChanges) + files(t, s); n != 0 {
		t.Errorf("%d keys and files are left", n)
	}
	if r, err := s.Run(ctx, "kept"); err != nil || r.ArchivedAt.IsZero() {
		t.Errorf("%+v %v", r, err)
	}
	sound(t, s)
	// One that is given up goes at once, the others stay.
	token, err := s.DeleteRun(ctx, "kept")
	if err != nil {
		t.Fatal(err)
	}
	if known, err := s.Known(ctx, "kept"); err != nil || !known {
		t.Error("a deleted run is not known", err)
	}
	if err := s.PurgeChange(ctx, token); err != nil {
		t.Fatal(err)
	}
	if known, err := s.Known(ctx, "kept"); err != nil || known {
		t.Error("a purged run is known", err)
	}
	_, err = s.Undo(ctx, token, false)
	code(t, err, experiments.CodeNotFound)
	sound(t, s)
}

func TestMatchingGivesEveryRunOfAFilter(t *testing.T) {
	s, _, _, _ := furnished(t)
	ids, err := s.Matching(ctx, search.Query{})
	if err != nil || len(ids) != 451 {
		t.Errorf("%d ids, %v", len(ids), err)
	}
}
