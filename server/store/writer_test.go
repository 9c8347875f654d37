package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"triality/experiments"
)

func TestManyConcurrentWritersLoseAndMixNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	e := experiment(t, s, "e")
	const writers, each = 32, 20
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			run := fmt.Sprint("r", i)
			if err := s.SaveRun(ctx, experiments.Run{ID: run, ExperimentID: e.ID, Name: run, Status: experiments.Running}); err != nil {
				t.Error(err)
				return
			}
			for n := range each {
				p := []experiments.Point{{Step: int64(n), Value: float64(i*1000 + n)}}
				if err := s.LogMetrics(ctx, run, experiments.MetricBatch{"a": p, "b": p}); err != nil {
					t.Error(err)
				}
				if n%10 == 0 {
					if _, err := s.SaveArtifact(ctx, run, fmt.Sprint("f", n), "", strings.NewReader(fmt.Sprint(n))); err != nil {
						t.Error(err)
					}
				}
				if _, err := s.EnsureExperiment(ctx, fmt.Sprint("shared ", n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	s.Close()
	s = open(t, dir, Options{})
	sound(t, s)
	for i := range writers {
		for _, name := range []string{"a", "b"} {
			got := points(t, s, fmt.Sprint("r", i), name)
			if len(got) != each {
				t.Fatalf("run %d has %d points", i, len(got))
			}
			for n, p := range got {
				if p.Step != int64(n) || p.Value != float64(i*1000+n) {
					t.Fatalf("run %d point %d is %+v", i, n, p)
				}
			}
		}
	}
	if items, _, err := s.Experiments(ctx, 1000, ""); err != nil || len(items) != each+1 {
		t.Errorf("%d experiments, want %d; error %v", len(items), each+1, err)
	}
}

func TestAFailingWriteDoesNotTakeItsGroupWithIt(t *testing.T) {
	s, e := fresh(t, Options{})
	release := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { // holds the writer while the group gathers
		s.update(ctx, 1, func(*txn) error { <-release; return nil })
	})
	boom := errors.New("boom")
	results := make([]error, 9)
	for i := range results {
		wg.Go(func() {
			switch i % 3 {
			case 0:
				results[i] = s.SaveRun(ctx, experiments.Run{ID: fmt.Sprint("g", i), ExperimentID: e, Name: "g", Status: experiments.Running})
			case 1:
				results[i] = s.update(ctx, 1, func(t *txn) error {
					t.Bucket(bucketRuns).Put([]byte("half"), []byte("{}"))
					return boom
				})
			case 2:
				results[i] = s.update(ctx, 1, func(*txn) error { panic("ouch") })
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	close(release)
	wg.Wait()
	for i, err := range results {
		switch {
		case i%3 == 0 && err != nil:
			t.Errorf("a good write failed: %v", err)
		case i%3 == 1 && !errors.Is(err, boom):
			t.Errorf("a failing write: %v", err)
		case i%3 == 2 && (err == nil || !strings.Contains(err.Error(), "ouch")):
			t.Errorf("a panicking write: %v", err)
		}
	}
	_, err := s.Run(ctx, "half")
	code(t, err, experiments.CodeNotFound)
	if items, _, err := s.Runs(ctx, RunFilter{}); err != nil || len(items) != 4 {
		t.Errorf("%d runs, error %v", len(items), err)
	}
	sound(t, s)
}

func TestAWriteThatCannotBeUndoneFailsAloneAndLeavesNothing(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	e := experiment(t, s, "e")
	boom := errors.New("boom")
	err := s.update(context.Background(), 1, func(tx *txn) error {
		if err := tx.Bucket(bucketRuns).Put([]byte("half"), []byte("{}")); err != nil {
			return err
		}
		tx.undos = append(tx.undos, undo{b: nil, key: []byte("half")}) // undoing this one panics
		return boom
	})
	if !errors.Is(err, boom) {
		t.Errorf("the write was told %v", err)
	}
	_, err = s.Run(context.Background(), "half")
	code(t, err, experiments.CodeNotFound)
	save(t, s, experiments.Run{ID: "next", ExperimentID: e.ID}) // the store still writes
	sound(t, s)
}

func TestAFullDiskRefusesTheWriteAndTheStoreStaysSound(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{MaxBytes: 256 << 10, EventLog: 10})
	e := experiment(t, s, "e")
	save(t, s, experiments.Run{ID: "r", ExperimentID: e.ID})
	stored := 0
	var err error
	for range 200 {
		batch := make([]experiments.Point, 500)
		for i := range batch {
			batch[i] = experiments.Point{Step: int64(stored + i), Value: 1.5}
		}
		if err = s.LogMetrics(ctx, "r", experiments.MetricBatch{"m": batch}); err != nil {
			break
		}
		stored += len(batch)
	}
	code(t, err, experiments.CodeUnavailable, "no space", s.path)
	if stored == 0 {
		t.Fatal("nothing fitted")
	}
	if got := points(t, s, "r", "m"); len(got) != stored {
		t.Errorf("%d points, acknowledged %d", len(got), stored)
	}
	sound(t, s)
	s.Close()
	s = open(t, dir, Options{}) // with more room
	logOne(t, s, "r", 1)
	if got := points(t, s, "r", "m"); len(got) != stored+1 {
		t.Errorf("%d points after reopening, want %d", len(got), stored+1)
	}
	sound(t, s)
}

// TestWriterChild is the process that the next test kills.
func TestWriterChild(t *testing.T) {
	dir := os.Getenv("TRIALITY_STORE_CHILD")
	if dir == "" {
		t.Skip("only as the child of TestNothingAcknowledgedIsLostToAKill")
	}
	s := open(t, dir, Options{})
	for n := 0; ; n++ {
		if err := s.LogMetrics(ctx, "r", experiments.MetricBatch{"m": {{Step: int64(n)}}}); err != nil {
			t.Fatal(err)
		}
		if n%7 == 0 {
			if _, err := s.SaveArtifact(ctx, "r", "f", "", strings.NewReader(fmt.Sprint(n))); err != nil {
				t.Fatal(err)
			}
		}
		fmt.Println("ack", n)
	}
}

func TestNothingAcknowledgedIsLostToAKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	for _, kill := range []int{1, 37, 150} {
		t.Run(fmt.Sprint("after write ", kill), func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, Options{})
			e := experiment(t, s, "e")
			save(t, s, experiments.Run{ID: "r", ExperimentID: e.ID})
			s.Close()

			limit, cancel := context.WithTimeout(ctx, 20*time.Second)
			defer cancel()
			cmd := exec.CommandContext(limit, os.Args[0], "-test.run=^TestWriterChild$")
			cmd.Env = append(os.Environ(), "TRIALITY_STORE_CHILD="+dir)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			acked := -1
			for lines := bufio.NewScanner(io.LimitReader(out, 1<<20)); lines.Scan(); {
				if n, ok := strings.CutPrefix(lines.Text(), "ack "); ok {
					if acked, err = strconv.Atoi(n); err != nil {
						t.Fatal(err)
					}
					if acked == kill {
						cmd.Process.Kill() // the lines already written are still read
					}
				}
			}
			cmd.Wait()
			if acked < kill {
				t.Fatalf("the child ended by itself at %d", acked)
			}
			s = open(t, dir, Options{})
			got := points(t, s, "r", "m")
			if len(got) < acked+1 {
				t.Fatalf("%d points, %d were acknowledged", len(got), acked+1)
			}
			for n, p := range got {
				if p.Step != int64(n) {
					t.Fatalf("point %d has step %d", n, p.Step)
				}
			}
			if text := artifact(t, s, "r", "f"); text < "0" {
				t.Errorf("artifact %q", text)
			}
			problems, err := s.Check(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range problems {
				if !strings.Contains(p, "no record points to it") { // allowed after a kill, and harmless
					t.Error(p)
				}
			}
		})
	}
}
