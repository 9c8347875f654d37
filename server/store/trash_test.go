package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"triality/experiments"
)

// many fills an experiment with runs of a few series each.
func many(t testing.TB, s *Store, runs int) (experiment string) {
	t.Helper()
	e, err := s.EnsureExperiment(ctx, "many")
	if err != nil {
		t.Fatal(err)
	}
	err = s.update(ctx, 1, func(t *txn) error {
		for i := range runs {
			r := experiments.Run{ID: fmt.Sprint("d", i), ExperimentID: e.ID, Name: "d", Status: experiments.Finished}
			if err := putRun(t, r); err != nil {
				return err
			}
			for _, name := range []string{"a", "b", "c"} {
				if _, err := appendPoints(t, r.ID, name, []experiments.Point{{Step: 1}, {Step: 2}}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return e.ID
}

func count1(t testing.TB, s *Store, bucket []byte) (n int) {
	t.Helper()
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		n = tx.Bucket(bucket).Stats().KeyN
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestOthersWriteWhileAnExperimentOfManyRunsGoes(t *testing.T) {
	s, _ := fresh(t, Options{})
	id := many(t, s, 3000)
	keys := count1(t, s, bucketPoints) + count1(t, s, bucketSeries)
	if keys < 18_000 {
		t.Fatalf("%d keys", keys)
	}
	done := make(chan error, 1)
	go func() { done <- s.PurgeExperiment(ctx, id) }()
	between := 0 // writes that were acknowledged while part of the experiment was there
	for n := int64(0); ; n++ {
		if err := s.LogMetrics(ctx, "r", experiments.MetricBatch{"m": {{Step: n}}}); err != nil {
			t.Fatal(err)
		}
		if left := count1(t, s, bucketSeries) - 1; left > 0 && left < 9000 {
			between++
		}
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			if between == 0 {
				t.Error("no write got in between")
			}
			if runs, _, err := s.Runs(ctx, RunFilter{}); err != nil || len(runs) != 1 {
				t.Errorf("%d runs are left, %v", len(runs), err)
			}
			sound(t, s)
			return
		default:
		}
	}
}

func TestADeletionThatWasCutShortIsFinishedOnOpening(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	e := experiment(t, s, "e")
	save(t, s, experiments.Run{ID: "r", ExperimentID: e.ID})
	id := many(t, s, 2000)
	a, err := s.SaveArtifact(ctx, "d7", "f", "", strings.NewReader("text"))
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	// Noted, and the process ends before all of it went.
	err = s.update(ctx, 1, func(t *txn) error {
		return errors.Join(t.Bucket(bucketNames).Delete([]byte("many")), t.Bucket(bucketExperiments).Delete([]byte(id)), putTrash(t, trashExperiment, id),
			sweepExperiment(t, id, &piece{busy: func() bool { return true }}))
	})
	if err != nil || count1(t, s, bucketSeries) < 3000 {
		t.Fatal(err)
	}
	s.sweeper.await(gone, trashExperiment, id) // returns though it is not gone
	s.Close()
	s = open(t, dir, Options{})
	s.sweeper.idle(ctx)
	if n := count1(t, s, bucketSeries) + count1(t, s, bucketTrash) + files(t, s); n != 0 {
		t.Errorf("%d series, pieces of trash and files are left (%s)", n, a.SHA256)
	}
	sound(t, s)
}

func TestARunsIDIsFreeAgainWhenAllOfItIsGone(t *testing.T) {
	s, e := fresh(t, Options{})
	err := s.update(ctx, 1, func(t *txn) error { return putTrash(t, trashRun, "x") })
	if err != nil {
		t.Fatal(err)
	}
	// The sweeper is not told: the run is still being removed.
	r := experiments.Run{ID: "x", ExperimentID: e, Name: "x", Status: experiments.Running}
	code(t, s.SaveRun(ctx, r), experiments.CodeConflict, "still being removed")
	s.sweeper.idle(ctx)
	if err := s.SaveRun(ctx, r); err != nil {
		t.Error(err)
	}
}

func TestALongRunGoesInPieces(t *testing.T) {
	s, e := fresh(t, Options{})
	save(t, s, experiments.Run{ID: "long", ExperimentID: e, Status: experiments.Finished})
	batch := experiments.MetricBatch{}
	for i := range sweepAtMost * 5 / 4 { // of two keys each
		batch[fmt.Sprint("m", i)] = []experiments.Point{{Step: 1}}
	}
	chunks := make([]experiments.Point, 20*maxChunkPoints)
	for i := range chunks {
		chunks[i].Step = int64(i)
	}
	batch["a"] = chunks
	if err := s.LogMetrics(ctx, "long", batch); err != nil {
		t.Fatal(err)
	}
	before := s.Stats().Commits
	if err := s.PurgeRun(ctx, "long"); err != nil {
		t.Fatal(err)
	}
	if n := s.Stats().Commits - before; n < 3 {
		t.Errorf("%d commits for %d series", n, len(batch))
	}
	if n := count1(t, s, bucketPoints) + count1(t, s, bucketSeries); n != 0 {
		t.Errorf("%d keys are left", n)
	}
	sound(t, s)
}

func TestFailedMembersDoNotRestartTheirGroup(t *testing.T) {
	s, e := fresh(t, Options{})
	release := make(chan struct{})
	results := make(chan error, 200)
	held := make(chan struct{})
	go func() { results <- s.update(ctx, 1, func(*txn) error { close(held); <-release; return nil }) }()
	<-held       // the others are of a group of their own
	applied := 0 // by the writer's goroutine alone
	boom := errors.New("boom")
	for i := range 100 {
		go func() {
			results <- s.update(ctx, 1, func(t *txn) error {
				applied++
				return putRun(t, experiments.Run{ID: fmt.Sprint("g", i), ExperimentID: e, Name: "g", Status: experiments.Running})
			})
		}()
		go func() {
			results <- s.update(ctx, 1, func(t *txn) error {
				b := t.bucket(bucketRuns)
				if _, err := b.NextSequence(); err != nil {
					return err
				}
				t.emit("odd", "", nil)
				return errors.Join(boom, b.Put([]byte("half"), nil), b.Put([]byte("half"), []byte("{}")), b.Delete([]byte("r")), t.Bucket(bucketRunIndex).Put([]byte("half"), nil))
			})
		}()
	}
	for len(s.writer.queue) < 200 {
		time.Sleep(time.Millisecond)
	}
	close(release)
	failed := 0
	for range 201 {
		if err := <-results; errors.Is(err, boom) {
			failed++
		} else if err != nil {
			t.Error(err)
		}
	}
	if failed != 100 || applied != 100 {
		t.Errorf("%d failed and the others were applied %d times, want 100 and 100", failed, applied)
	}
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		if n := tx.Bucket(bucketRuns).Sequence(); n != 0 {
			t.Errorf("the sequence is %d", n)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if runs, _, err := s.Runs(ctx, RunFilter{Limit: 1000}); err != nil || len(runs) != 101 {
		t.Errorf("%d runs, %v", len(runs), err)
	}
	if n := count1(t, s, bucketEvents); n != 101 {
		t.Errorf("%d events", n)
	}
	sound(t, s)
}

func TestAnEventOfARunWithManySeriesIsSmall(t *testing.T) {
	s, _ := fresh(t, Options{})
	batch := experiments.MetricBatch{}
	for i := range 3 * maxRunSummary {
		batch[fmt.Sprint("layer/", i)] = []experiments.Point{{Step: 1}}
	}
	if err := s.LogMetrics(ctx, "r", batch); err != nil {
		t.Fatal(err)
	}
	w := watch(t, s, WatchOptions{})
	long := strings.Repeat("x", 2*maxRunEvent)
	r, err := s.UpdateRun(ctx, "r", func(r *experiments.Run) error {
		r.Params = map[string]string{"long": long}
		return nil
	})
	if err != nil || len(r.Summary) != len(batch) {
		t.Errorf("the run itself has %d values, %v", len(r.Summary), err)
	}
	if ev := next(t, w); len(ev.Data) > maxRunEvent || !strings.Contains(string(ev.Data), `"partial":true`) || !strings.Contains(string(ev.Data), `"status":"running"`) {
		t.Errorf("%d bytes: %.200s", len(ev.Data), ev.Data)
	}
}
