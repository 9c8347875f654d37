package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"triality/experiments"
	"triality/server/search"
)

var ctx = context.Background()

func open(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// sound fails the test unless Check finds nothing.
func sound(t testing.TB, s *Store) {
	t.Helper()
	problems, err := s.Check(ctx)
	if err != nil || len(problems) > 0 {
		t.Errorf("check: error %v, problems:\n%s", err, strings.Join(problems, "\n"))
	}
}

// code fails the test unless err has the code and holds every one of the texts.
func code(t testing.TB, err error, want experiments.Code, texts ...string) {
	t.Helper()
	if err == nil || experiments.CodeOf(err) != want {
		t.Fatalf("error %v (%s), want code %s", err, experiments.CodeOf(err), want)
	}
	for _, s := range texts {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("error %q does not say %q", err, s)
		}
	}
}

func experiment(t testing.TB, s *Store, name string) experiments.Experiment {
	t.Helper()
	e, err := s.EnsureExperiment(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func save(t testing.TB, s *Store, r experiments.Run) experiments.Run {
	t.Helper()
	if r.Name == "" {
		r.Name = "run " + r.ID
	}
	if r.Status == "" {
		r.Status = experiments.Running
	}
	if err := s.SaveRun(ctx, r); err != nil {
		t.Fatal(err)
	}
	return r
}

// fresh is a store with experiment "e" and a running run "r".
func fresh(t testing.TB, o Options) (*Store, string) {
	s := open(t, t.TempDir(), o)
	e := experiment(t, s, "e")
	save(t, s, experiments.Run{ID: "r", ExperimentID: e.ID})
	return s, e.ID
}

func TestAFileHeldByAnotherProcessIsUnavailableAndSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, Options{})
	_, err := Open(dir, Options{LockTimeout: 50 * time.Millisecond})
	code(t, err, experiments.CodeUnavailable, filepath.Join(dir, FileName), "another triality process", "stop that process")
}

func TestOpenRefusesWhatIsNoStoreOfThisFormat(t *testing.T) {
	bolt := func(t *testing.T, path string, f func(*bbolt.Tx) error) {
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Update(f), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct {
		make func(t *testing.T, path string)
		says string
	}{
		"an empty file": {func(t *testing.T, path string) { os.WriteFile(path, nil, 0o600) }, "is empty"},
		"another file": {func(t *testing.T, path string) {
			os.WriteFile(path, []byte(strings.Repeat("not a database ", 4096)), 0o600)
		}, "no triality database"},
		"a foreign bbolt file": {func(t *testing.T, path string) {
			bolt(t, path, func(*bbolt.Tx) error { return nil })
		}, "no triality database"},
		"a newer format": {func(t *testing.T, path string) {
			s, err := Open(filepath.Dir(path), Options{})
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
			bolt(t, path, func(tx *bbolt.Tx) error {
				return tx.Bucket(bucketMeta).Put(keyFormat, binary.LittleEndian.AppendUint32(nil, FormatVersion+1))
			})
		}, "use a newer triality"},
		"a missing part": {func(t *testing.T, path string) {
			s, err := Open(filepath.Dir(path), Options{})
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
			bolt(t, path, func(tx *bbolt.Tx) error { return tx.DeleteBucket(bucketPoints) })
		}, `lacks its part "points"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, FileName)
			tt.make(t, path)
			_, err := Open(dir, Options{})
			code(t, err, experiments.CodeInvalid, path, tt.says)
		})
	}
}

func TestOpenLeavesNoTemporaryFile(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, Options{})
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != "artifacts "+FileName {
		t.Errorf("the folder holds %s", got)
	}
}

func TestAClosedStoreRefusesEverything(t *testing.T) {
	s, e := fresh(t, Options{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
	_, err := s.Run(ctx, "r")
	code(t, err, experiments.CodeUnavailable)
	code(t, s.SaveRun(ctx, experiments.Run{ID: "x", ExperimentID: e, Name: "x", Status: experiments.Running}), experiments.CodeUnavailable)
	_, err = s.EnsureExperiment(ctx, "y")
	code(t, err, experiments.CodeUnavailable)
}

func TestACancelledContextStoresNothing(t *testing.T) {
	s, e := fresh(t, Options{})
	done, cancel := context.WithCancel(ctx)
	cancel()
	if err := s.SaveRun(done, experiments.Run{ID: "x", ExperimentID: e, Name: "x", Status: experiments.Running}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	_, err := s.Run(ctx, "x")
	code(t, err, experiments.CodeNotFound)
}

func TestFreeBytesIsPositive(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	if n, err := s.FreeBytes(); err != nil || n == 0 {
		t.Errorf("%d bytes, error %v", n, err)
	}
}

func TestAStoreWhoseFreePagesAreListedAsItOpensStaysWhole(t *testing.T) {
	dir := t.TempDir()
	for round := range 4 {
		s := open(t, dir, Options{listPages: 1})
		if n := s.db.Stats().FreePageN; round > 0 && n == 0 {
			t.Error("no page is free after runs were deleted")
		}
		e := experiment(t, s, "e")
		for i := range 40 {
			id := fmt.Sprintf("run-%d-%d", round, i)
			save(t, s, experiments.Run{ID: id, ExperimentID: e.ID, Status: experiments.Finished})
			if err := s.LogMetrics(ctx, id, experiments.MetricBatch{"loss": {{Step: 1, Value: float64(i)}}}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 20 {
			if _, err := s.DeleteRun(ctx, fmt.Sprintf("run-%d-%d", round, i)); err != nil {
				t.Fatal(err)
			}
		}
		if problems, err := s.Check(ctx); err != nil || len(problems) > 0 {
			t.Errorf("%v, %v", problems, err)
		}
		got, err := s.Search(ctx, search.Query{})
		if err != nil || got.Total != 20*(round+1) {
			t.Errorf("%d runs, %v", got.Total, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
