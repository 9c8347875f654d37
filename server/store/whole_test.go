package store

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"triality/experiments"
	"triality/runtime/disk"
)

func TestASeriesIsReadInPartsAndEndsWithItsRun(t *testing.T) {
	s, e := fresh(t, Options{})
	batch := make([]experiments.Point, 32*maxChunkPoints+10)
	for i := range batch {
		batch[i].Step = int64(i)
	}
	if err := s.LogMetrics(ctx, "r", experiments.MetricBatch{"m": batch}); err != nil {
		t.Fatal(err)
	}
	var parts []int
	err := s.Points(ctx, "r", "m", func(_ int64, part []experiments.Point) error {
		parts = append(parts, len(part))
		return nil
	})
	if err != nil || !slices.Equal(parts, []int{32 * maxChunkPoints, 10}) {
		t.Errorf("parts of %v points, %v", parts, err)
	}
	save(t, s, experiments.Run{ID: "r", ExperimentID: e, Status: experiments.Finished})
	err = s.Points(ctx, "r", "m", func(int64, []experiments.Point) error { return s.PurgeRun(ctx, "r") })
	code(t, err, experiments.CodeNotFound, `"r/m"`)
}

func TestAPieceIsLargerWhereNooneWaits(t *testing.T) {
	for _, tt := range []struct {
		keys       int
		busy, done bool
	}{
		{sweepAtLeast - 1, true, false}, {sweepAtLeast, true, true}, {sweepAtLeast, false, false},
		{sweepAtMost - 1, false, false}, {sweepAtMost, false, true},
	} {
		p := &piece{keys: tt.keys, busy: func() bool { return tt.busy }}
		if p.done() != tt.done {
			t.Errorf("%+v: done %v", tt, p.done())
		}
	}
}

func TestWhatIsReplacedOrHiddenIsGoneWhenTheCallReturns(t *testing.T) {
	s, _ := fresh(t, Options{})
	for _, text := range []string{"one", "two"} {
		if _, err := s.SaveArtifact(ctx, "r", "f", "", strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	if n := files(t, s); n != 1 {
		t.Errorf("%d files after a replacement", n)
	}
	m, b := module("m", "x")
	if _, err := s.AddModule(ctx, m, b); err != nil {
		t.Fatal(err)
	}
	if err := s.HideModule(ctx, m.SHA256); err != nil {
		t.Fatal(err)
	}
	if n := files(t, s); n != 1 {
		t.Errorf("%d files after a module was hidden", n)
	}
}

func TestEveryModuleOfARunGoesWithIt(t *testing.T) {
	s, e := fresh(t, Options{})
	for _, name := range []string{"a", "b", "c"} {
		m, bytes := module(name, name)
		if err := s.UseModule(ctx, "r", m, bytes); err != nil {
			t.Fatal(err)
		}
		if err := s.HideModule(ctx, m.SHA256); err != nil {
			t.Fatal(err)
		}
	}
	save(t, s, experiments.Run{ID: "r", ExperimentID: e, Status: experiments.Finished})
	if err := s.PurgeRun(ctx, "r"); err != nil {
		t.Fatal(err)
	}
	s.sweeper.idle(ctx)
	if n := files(t, s); n != 0 || count1(t, s, bucketModuleUses) != 0 || count1(t, s, bucketTrash) != 0 {
		t.Errorf("%d files, %d uses and %d in the trash are left", n, count1(t, s, bucketModuleUses), count1(t, s, bucketTrash))
	}
}

func TestAnIdleSweeperReadsNothing(t *testing.T) {
	s, _ := fresh(t, Options{})
	s.sweeper.idle(ctx)
	for range 50 { // its last round may be under way
		before := s.db.Stats()
		time.Sleep(20 * time.Millisecond)
		now := s.db.Stats()
		if n := now.Sub(&before).TxN; n == 0 {
			return
		}
	}
	t.Error("the store is read although nothing is deleted")
}

func TestAWatchOfARunPassesOverAPageOfOthers(t *testing.T) {
	s, e := fresh(t, Options{})
	save(t, s, experiments.Run{ID: "other", ExperimentID: e})
	for i := range 30 {
		batch := make([]experiments.Point, 300)
		for k := range batch {
			batch[k] = experiments.Point{Step: int64(300*i + k)}
		}
		if err := s.LogMetrics(ctx, "other", experiments.MetricBatch{"m": batch}); err != nil {
			t.Fatal(err)
		}
	}
	logOne(t, s, "r", 1)
	w := watch(t, s, WatchOptions{After: new(uint64), RunID: "r"})
	for _, want := range []string{experiments.EventRun, experiments.EventMetrics} {
		if ev := next(t, w); ev.Type != want || ev.RunID != "r" {
			t.Errorf("event %+v", ev)
		}
	}
}

func TestAWatchSaysWhetherItWouldWait(t *testing.T) {
	s, _ := fresh(t, Options{})
	logOne(t, s, "r", 1)
	w := watch(t, s, after(0))
	if w.More() {
		t.Error("more before the first")
	}
	if next(t, w); !w.More() {
		t.Error("no more, and one is there")
	}
	if next(t, w); w.More() {
		t.Error("more after the last")
	}
}

func TestAReceivedFileThatStaysIsWarnedOfAndNoOther(t *testing.T) {
	var log strings.Builder
	s, _ := fresh(t, Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if _, err := s.SaveArtifact(ctx, "r", "f", "", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if log.Len() > 0 {
		t.Errorf("logged: %s", &log)
	}
	refused := errors.New("input/output error")
	t.Cleanup(disk.Watch(s.blobs.incoming(), func(op disk.Op, do func() error) error {
		return cmp.Or(map[disk.Kind]error{disk.OpRemove: refused}[op.Kind], do())
	}))
	if _, err := s.SaveArtifact(ctx, "r", "g", "", strings.NewReader("y")); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "a received file was not removed") || !strings.Contains(log.String(), "input/output error") {
		t.Errorf("a file that cannot be removed: %s", &log)
	}
}

func TestFilesThatGoAreGoneFromEveryFolder(t *testing.T) {
	s, _ := fresh(t, Options{})
	var sums []string
	for i := range 5 {
		a, err := s.SaveArtifact(ctx, "r", fmt.Sprint(i), "", strings.NewReader(fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, a.SHA256)
	}
	flushed := map[string]bool{}
	stop := disk.Watch(s.blobs.dir, func(op disk.Op, do func() error) error {
		if op.Kind == disk.OpSyncDir {
			flushed[op.Path] = true
		}
		return do()
	})
	defer stop()
	if err := s.blobs.remove(sums); err != nil || len(flushed) != 5 {
		t.Errorf("flushed %v, %v", flushed, err)
	}
}

func TestAPointIsAfterAnotherByStepThenTime(t *testing.T) {
	top := moment{5, 100}
	for m, want := range map[moment]bool{{6, 100}: true, {6, 0}: true, {5, 101}: true, {5, 100}: false, {5, 99}: false, {4, 200}: false, {4, 0}: false} {
		if m.after(top) != want {
			t.Errorf("%v after %v: %v", m, top, m.after(top))
		}
	}
}
