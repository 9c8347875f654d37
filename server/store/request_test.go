package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"triality/experiments"
)

// keyed is a context of a request with an idempotency key.
func keyed(k, body string) (context.Context, *Request) {
	r := &Request{Key: k, Of: "POST /x", Digest: sha256.Sum256([]byte(body))}
	return WithRequest(ctx, r), r
}

func TestARequestSentAgainIsDoneOnce(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	e := experiment(t, s, "e")
	save(t, s, experiments.Run{ID: "r", ExperimentID: e.ID})
	save(t, s, experiments.Run{ID: "old", ExperimentID: e.ID, Status: experiments.Finished})
	other, err := s.CreateExperiment(ctx, experiments.Experiment{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]string{}
	requests := map[string]func(context.Context) (string, error){
		"points": func(c context.Context) (string, error) {
			return "", s.LogMetrics(c, "r", experiments.MetricBatch{"m": {{Step: 1, Time: time.Now().UnixNano(), Value: 1}}})
		},
		"a run": func(c context.Context) (string, error) {
			id, err := NewRunID()
			if err != nil {
				return "", err
			}
			r, err := s.CreateRun(c, experiments.Run{ID: id, ExperimentID: e.ID, Name: "n", Status: experiments.Running})
			return r.ID, err
		},
		"an experiment": func(c context.Context) (string, error) {
			e, err := s.CreateExperiment(c, experiments.Experiment{Name: "made"})
			return e.ID, err
		},
		"a run's deletion":         func(c context.Context) (string, error) { return s.DeleteRun(c, "old") },
		"an experiment's deletion": func(c context.Context) (string, error) { return s.DeleteExperiment(c, other.ID) },
	}
	for again := range 3 {
		if again == 2 { // the keys outlive the process
			s.Close()
			s = open(t, dir, Options{})
		}
		for name, do := range requests {
			c, r := keyed(name, "body")
			id, err := do(c)
			if err != nil || r.Replayed != (again > 0) {
				t.Fatalf("%s, time %d: %v, replayed %v", name, again, err, r.Replayed)
			}
			if again > 0 && id != made[name] {
				t.Errorf("%s, time %d: made %q, first %q", name, again, id, made[name])
			}
			made[name] = id
		}
	}
	if got := points(t, s, "r", "m"); len(got) != 1 {
		t.Errorf("%d points", len(got))
	}
	if runs, _, err := s.Runs(ctx, RunFilter{}); err != nil || len(runs) != 2 {
		t.Errorf("%d runs, %v", len(runs), err)
	}
	c, _ := keyed("points", "another body")
	err = s.LogMetrics(c, "r", experiments.MetricBatch{"m": {{Step: 2}}})
	code(t, err, experiments.CodeConflict, `"points"`, "another request", "key of its own")
	sound(t, s)
}

func TestARequestThatFailedMayBeSentAgain(t *testing.T) {
	s, e := fresh(t, Options{})
	c, r := keyed("k", "")
	code(t, s.LogMetrics(c, "later", experiments.MetricBatch{"m": {{Step: 1}}}), experiments.CodeNotFound)
	save(t, s, experiments.Run{ID: "later", ExperimentID: e})
	if err := s.LogMetrics(c, "later", experiments.MetricBatch{"m": {{Step: 1}}}); err != nil || r.Replayed {
		t.Fatalf("%v, replayed %v", err, r.Replayed)
	}
}

func TestTheSameRequestAtOnceIsDoneOnce(t *testing.T) {
	s, _ := fresh(t, Options{})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			c, _ := keyed("k", "")
			if err := s.LogMetrics(c, "r", experiments.MetricBatch{"m": {{Step: int64(i)}}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := points(t, s, "r", "m"); len(got) != 1 {
		t.Errorf("%d points", len(got))
	}
}

func TestBadKeysAreRefused(t *testing.T) {
	s, _ := fresh(t, Options{})
	for _, k := range []string{"", strings.Repeat("k", MaxRequestKey+1), "a\x00b", "\xff"} {
		c, _ := keyed(k, "")
		code(t, s.LogMetrics(c, "r", experiments.MetricBatch{"m": {{Step: 1}}}), experiments.CodeInvalid)
	}
}

func TestOldKeysAreForgotten(t *testing.T) {
	s, _ := fresh(t, Options{})
	err := s.update(ctx, 1, func(t *txn) error {
		for i := range 5 {
			old := time.Now().Add(-RequestsKept - time.Hour)
			k := fmt.Sprint("old", i)
			err := errors.Join(putJSON(t.Bucket(bucketRequests), key("k", k), requestRecord{At: old}), t.Bucket(bucketRequests).Put(ageKey(old, k), nil))
			if err != nil {
				return err
			}
			t.requests++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c, _ := keyed("new", "")
	if err := s.LogMetrics(c, "r", experiments.MetricBatch{"m": {{Step: 1}}}); err != nil {
		t.Fatal(err)
	}
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		if n := countRequests(tx); n != 1 || s.writer.requests != 1 {
			return fmt.Errorf("%d keys are kept, %d counted", n, s.writer.requests)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	sound(t, s)
}

func TestAPointThatIsLoggedAgainIsStoredOnce(t *testing.T) {
	s, _ := fresh(t, Options{})
	w := watch(t, s, WatchOptions{})
	batch := make([]experiments.Point, 700) // several chunks
	for i := range batch {
		batch[i] = experiments.Point{Step: int64(i), Time: 1000 + int64(i), Value: float64(i)}
	}
	log := func(p ...experiments.Point) {
		t.Helper()
		if err := s.LogMetrics(ctx, "r", experiments.MetricBatch{"m": p}); err != nil {
			t.Fatal(err)
		}
	}
	log(batch...)
	log(batch...)
	log(batch[3])
	log(append(batch[690:], experiments.Point{Step: 700, Time: 1700})...)
	log(experiments.Point{Step: 3, Time: 1003, Value: 9})  // another value of that step and time
	log(experiments.Point{Step: 3, Time: 1004, Value: 3})  // another time
	log(experiments.Point{Step: -1, Time: 1004, Value: 3}) // an earlier step
	want := append(append([]experiments.Point{}, batch...), experiments.Point{Step: 700, Time: 1700},
		experiments.Point{Step: 3, Time: 1003, Value: 9}, experiments.Point{Step: 3, Time: 1004, Value: 3}, experiments.Point{Step: -1, Time: 1004, Value: 3})
	if got := points(t, s, "r", "m"); !samePoints(got, want) {
		t.Errorf("%d points, want %d: %v", len(got), len(want), got[min(len(got), 690):])
	}
	twice := experiments.Point{Step: 800, Time: 1, Value: 1}
	log(twice, twice)
	if got := points(t, s, "r", "m"); len(got) != len(want)+2 {
		t.Errorf("two equal points of one call are %d", len(got)-len(want))
	}
	told := 0
	for told < len(want)+2 {
		ev := next(t, w)
		told += strings.Count(string(ev.Data), `"step"`)
	}
	if told != len(want)+2 {
		t.Errorf("watchers were told of %d points, want %d", told, len(want)+2)
	}
	sound(t, s)
}

func TestARestartedSeriesBeginsAnew(t *testing.T) {
	s, _ := fresh(t, Options{})
	long := make([]experiments.Point, 600)
	for i := range long {
		long[i] = experiments.Point{Step: int64(i)}
	}
	if err := s.LogMetrics(ctx, "r", experiments.MetricBatch{"a": long, "b": long[:1]}); err != nil {
		t.Fatal(err)
	}
	w := watch(t, s, WatchOptions{})
	if err := s.RestartMetrics(ctx, "r", experiments.MetricBatch{"a": long[:2], "new": long[:1]}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"a": 2, "b": 1, "new": 1} {
		if got := points(t, s, "r", name); len(got) != want {
			t.Errorf("%s: %d points, want %d", name, len(got), want)
		}
	}
	if ev := next(t, w); ev.Type != experiments.EventRestart || string(ev.Data) != `["a"]` {
		t.Errorf("event %s %s", ev.Type, ev.Data)
	}
	if ev := next(t, w); ev.Type != experiments.EventMetrics {
		t.Errorf("event %s", ev.Type)
	}
	sound(t, s)
}

func TestPointsLoggedWhileASeriesIsReadAreLeftOut(t *testing.T) {
	s, _ := fresh(t, Options{})
	batch := make([]experiments.Point, 32*maxChunkPoints+10) // two parts, the last chunk not full
	for i := range batch {
		batch[i].Step = int64(i)
	}
	if err := s.LogMetrics(ctx, "r", experiments.MetricBatch{"m": batch}); err != nil {
		t.Fatal(err)
	}
	read := 0
	err := s.Points(ctx, "r", "m", func(total int64, part []experiments.Point) error {
		if read == 0 {
			for i := range 5 { // they go into the last chunk, which is not read yet
				if err := s.LogMetrics(ctx, "r", experiments.MetricBatch{"m": {{Step: int64(len(batch) + i)}}}); err != nil {
					return err
				}
			}
		}
		read += len(part)
		if total != int64(len(batch)) {
			t.Errorf("total %d", total)
		}
		return nil
	})
	if err != nil || read != len(batch) {
		t.Errorf("%d points were read, want %d; %v", read, len(batch), err)
	}
}
