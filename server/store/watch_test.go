package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"triality/experiments"
	"triality/server/events"
)

func after(n uint64) WatchOptions { return WatchOptions{After: &n} }

func watch(t testing.TB, s *Store, o WatchOptions) *Watch {
	t.Helper()
	w, err := s.Watch(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func next(t testing.TB, w *Watch) experiments.Event {
	t.Helper()
	limit, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ev, err := w.Next(limit)
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

func logOne(t testing.TB, s *Store, run string, v float64) {
	t.Helper()
	if err := s.LogMetrics(ctx, run, experiments.MetricBatch{"m": {{Value: v}}}); err != nil {
		t.Fatal(err)
	}
}

func TestAWatchReplaysThenFollowsWithoutAGapOrARepeat(t *testing.T) {
	s, _ := fresh(t, Options{})
	for i := range 600 { // more than one page of the log
		logOne(t, s, "r", float64(i))
	}
	w := watch(t, s, after(1)) // 1 is the run itself
	go func() {
		for i := range 50 {
			s.LogMetrics(ctx, "r", experiments.MetricBatch{"m": {{Value: float64(600 + i)}}})
		}
	}()
	for i := range 650 {
		ev := next(t, w)
		if want := fmt.Sprintf(`{"m":[{"step":0,"time":0,"value":%d}]}`, i); ev.ID != uint64(i+2) || string(ev.Data) != want {
			t.Fatalf("event %d is %d %s", i, ev.ID, ev.Data)
		}
	}
}

func TestEventIDsGoOnAfterReopeningAndTheLogIsReplayable(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	e := experiment(t, s, "e")
	save(t, s, experiments.Run{ID: "r", ExperimentID: e.ID})
	logOne(t, s, "r", 1)
	s.Close()
	s = open(t, dir, Options{})
	w := watch(t, s, after(0))
	logOne(t, s, "r", 2)
	for i, typ := range []string{experiments.EventRun, experiments.EventMetrics, experiments.EventMetrics} {
		if ev := next(t, w); ev.ID != uint64(i+1) || ev.Type != typ || ev.RunID != "r" {
			t.Errorf("event %d: %+v", i, ev)
		}
	}
}

func TestTheLogIsTrimmedAndAnOldIDIsReset(t *testing.T) {
	for name, o := range map[string]Options{"by count": {EventLog: 10}, "by bytes": {EventLogBytes: 1000}} {
		t.Run(name, func(t *testing.T) {
			s, _ := fresh(t, o)
			for i := range 40 {
				logOne(t, s, "r", float64(i))
			}
			if _, err := s.Watch(ctx, after(0)); !errors.Is(err, ErrReset) {
				t.Errorf("an id that was trimmed: %v", err)
			}
			if _, err := s.Watch(ctx, after(42)); !errors.Is(err, ErrReset) {
				t.Errorf("an id of the future: %v", err)
			}
			w := watch(t, s, after(38))
			for id := uint64(39); id <= 41; id++ {
				if ev := next(t, w); ev.ID != id {
					t.Errorf("event %d, want %d", ev.ID, id)
				}
			}
			sound(t, s)
		})
	}
}

func TestAWatchOfOneRunSeesOnlyThatRunAndModules(t *testing.T) {
	s, e := fresh(t, Options{})
	w := watch(t, s, WatchOptions{RunID: "r"})
	save(t, s, experiments.Run{ID: "other", ExperimentID: e})
	m, b := module("m", "x")
	if _, err := s.AddModule(ctx, m, b); err != nil {
		t.Fatal(err)
	}
	s.Progress("other", "convert", experiments.Progress{Done: 1})
	s.Progress("r", "finetune", experiments.Progress{Done: 2, Unit: "steps"})
	if ev := next(t, w); ev.Type != experiments.EventModule || ev.ID != 3 || w.LastID() != 3 {
		t.Errorf("%+v", ev)
	}
	ev := next(t, w)
	if want := `{"run_id":"r","step":"finetune","progress":{"done":2,"total":0,"unit":"steps","rate":0}}`; ev.ID != 0 || ev.Type != experiments.EventProgress || string(ev.Data) != want {
		t.Errorf("%+v %s", ev, ev.Data)
	}
	if w.LastID() != 3 {
		t.Errorf("progress moved the id to %d", w.LastID())
	}
	replay := watch(t, s, WatchOptions{After: new(uint64), RunID: "r"})
	for _, want := range []uint64{1, 3} {
		if ev := next(t, replay); ev.ID != want {
			t.Errorf("replayed %d, want %d", ev.ID, want)
		}
	}
}

func TestASlowWatcherIsDroppedAndGoesOnFromTheLog(t *testing.T) {
	s, _ := fresh(t, Options{WatchEvents: 4})
	w := watch(t, s, WatchOptions{})
	for i := range 10 {
		logOne(t, s, "r", float64(i))
	}
	if _, err := w.Next(ctx); !errors.Is(err, events.ErrSlow) {
		t.Errorf("error %v", err)
	}
	if s.broker.Len() != 0 {
		t.Error("the dropped watcher is still subscribed")
	}
	again := watch(t, s, after(w.LastID()))
	for id := w.LastID() + 1; id <= w.LastID()+10; id++ {
		if ev := next(t, again); ev.ID != id {
			t.Fatalf("event %d, want %d", ev.ID, id)
		}
	}
}

func TestWhatTheReplayGaveIsNotGivenAgainLive(t *testing.T) {
	s, _ := fresh(t, Options{})
	w := watch(t, s, after(1))
	for i := range 3 { // in the log and, since the watch has begun, among the live events
		logOne(t, s, "r", float64(i))
	}
	for id := uint64(2); id <= 4; id++ {
		if ev := next(t, w); ev.ID != id {
			t.Fatalf("event %d, want %d", ev.ID, id)
		}
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if ev, err := w.Next(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("event %d, %v; nothing is new", ev.ID, err)
	}
	logOne(t, s, "r", 3)
	if ev := next(t, w); ev.ID != 5 {
		t.Fatalf("event %d, want 5", ev.ID)
	}
}

func TestAWatchEndsWithItsContextAndWithTheStore(t *testing.T) {
	s, _ := fresh(t, Options{})
	w := watch(t, s, WatchOptions{})
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := w.Next(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	s.Close()
	if _, err := w.Next(ctx); !errors.Is(err, events.ErrClosed) {
		t.Errorf("error %v", err)
	}
}
