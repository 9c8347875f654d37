package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"triality/experiments"
	"triality/runtime/disk"
	"triality/runtime/disk/powercut"
)

// holds says whether a file is in its place below a data folder, whole.
func holds(dir, sum, text string) bool {
	b, err := os.ReadFile(filepath.Join(dir, "artifacts", "sha256", sum[:2], sum[2:]))
	return err == nil && string(b) == text
}

func TestAnAcknowledgedArtifactOutlivesAPowerCutWhoeverWroteItsBytes(t *testing.T) {
	const text = "the same bytes"
	for name, order := range map[string]string{
		"one after the other": "", "the second while the first flushes its folder": "wait", "the second after the first failed to flush": "fail",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, Options{})
			e := experiment(t, s, "e")
			save(t, s, experiments.Run{ID: "a", ExperimentID: e.ID})
			save(t, s, experiments.Run{ID: "b", ExperimentID: e.ID})
			var begun atomic.Bool
			inFlush, release := make(chan struct{}), make(chan struct{})
			rec := powercut.Record(t, dir, func(op disk.Op) error {
				if op.Kind != disk.OpSyncDir || len(filepath.Base(op.Path)) != 2 {
					return nil
				}
				first := begun.CompareAndSwap(false, true)
				switch {
				case first && order == "wait":
					close(inFlush)
					<-release
				case first && order == "fail":
					return errors.New("input/output error")
				}
				return nil
			})
			sum := ""
			put := func(run string) error {
				a, err := s.SaveArtifact(ctx, run, "f", "", strings.NewReader(text))
				if err == nil {
					sum = a.SHA256
					rec.Mark("acknowledged")
				}
				return err
			}
			switch order {
			case "wait":
				first := make(chan error, 1)
				go func() {
					_, err := s.SaveArtifact(ctx, "a", "f", "", strings.NewReader(text))
					first <- err
				}()
				<-inFlush
				if err := put("b"); err != nil {
					t.Fatal(err)
				}
				close(release)
				if err := <-first; err != nil {
					t.Fatal(err)
				}
			case "fail":
				if err := put("a"); err == nil {
					t.Fatal("a failed flush was acknowledged")
				}
				if err := put("b"); err != nil {
					t.Fatal(err)
				}
			default:
				if err := errors.Join(put("a"), put("b")); err != nil {
					t.Fatal(err)
				}
			}
			rec.Check(t, func(cut powercut.Cut) error {
				if cut.Marked("acknowledged") && !holds(cut.Dir, sum, text) {
					return errors.New("an acknowledged artifact is lost")
				}
				return nil
			})
		})
	}
}

func TestAPowerCutLeavesNoFileWithoutARecord(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	e := experiment(t, s, "e")
	save(t, s, experiments.Run{ID: "r", ExperimentID: e.ID, Status: experiments.Finished})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// The database stays as it is now: whatever the cut leaves, no record points to a file.
	kept, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, Options{})
	rec := powercut.Record(t, dir)
	for i := range 2 {
		if _, err := s.SaveArtifact(ctx, "r", fmt.Sprint("f", i), "", strings.NewReader(fmt.Sprint("text", i))); err != nil {
			t.Fatal(err)
		}
	}
	committed, marked := false, false
	rec.Check(t, func(cut powercut.Cut) error {
		if err := os.WriteFile(filepath.Join(cut.Dir, FileName), kept, 0o600); err != nil {
			return err
		}
		if marks, _ := filepath.Glob(filepath.Join(cut.Dir, "artifacts", "incoming", "*.*")); len(marks) == 0 {
			// The marks went after the records were durable; with this database that state cannot be.
			committed = true
			return nil
		}
		marked = true
		s, err := Open(cut.Dir, Options{})
		if err != nil {
			return err
		}
		defer s.Close()
		var known []string
		for i := range 2 {
			known = append(known, fmt.Sprint("text", i))
		}
		orphans, err := s.Orphans(ctx)
		// A file whose mark is gone had its record.
		for _, o := range orphans {
			b, _ := os.ReadFile(o)
			if string(b) != known[0] {
				err = errors.Join(err, fmt.Errorf("orphan %s", o))
			}
		}
		left, readErr := os.ReadDir(s.blobs.incoming())
		if len(left) > 0 {
			err = errors.Join(err, fmt.Errorf("left behind: %v", left))
		}
		return errors.Join(err, readErr)
	})
	if !committed || !marked {
		t.Errorf("there are marks: %v; they go: %v", marked, committed)
	}
}

func TestAFileIsNotRemovedBetweenItsPlaceAndItsRecord(t *testing.T) {
	s, e := fresh(t, Options{})
	a, err := s.SaveArtifact(ctx, "r", "f", "", strings.NewReader("text"))
	if err != nil {
		t.Fatal(err)
	}
	save(t, s, experiments.Run{ID: "second", ExperimentID: e})
	held, release := make(chan struct{}), make(chan struct{})
	go s.update(ctx, 1, func(*txn) error { close(held); <-release; return nil })
	<-held
	placed := make(chan error, 1)
	go func() { // its record waits in the writer's queue
		_, err := s.SaveArtifact(ctx, "second", "f", "", strings.NewReader("text"))
		placed <- err
	}()
	for len(s.writer.queue) == 0 {
		time.Sleep(time.Millisecond)
	}
	if s.blobs.mu.TryLock() {
		t.Error("files may be removed while one waits for its record")
		s.blobs.mu.Unlock()
	}
	close(release)
	if err := <-placed; err != nil {
		t.Fatal(err)
	}
	if !holds(s.Dir(), a.SHA256, "text") {
		t.Error("the file is gone")
	}
	sound(t, s)
}

func TestADiskThatRefusesFilesIsNotWellUntilItTakesThem(t *testing.T) {
	s, _ := fresh(t, Options{})
	refuse := true
	t.Cleanup(disk.Watch(s.Dir(), func(op disk.Op, do func() error) error {
		if refuse && op.Kind == disk.OpSync {
			return errors.New("input/output error")
		}
		return do()
	}))
	if _, err := s.SaveArtifact(ctx, "r", "f", "", strings.NewReader("text")); err == nil || !strings.Contains(err.Error(), "input/output error") {
		t.Errorf("error %v", err)
	}
	if err := s.Health(ctx); err == nil || !strings.Contains(err.Error(), "input/output error") || s.Stats().Healthy {
		t.Errorf("health %v", err)
	}
	if n := files(t, s); n != 0 {
		t.Errorf("%d files are left", n)
	}
	refuse = false
	if _, err := s.SaveArtifact(ctx, "r", "f", "", strings.NewReader("text")); err != nil {
		t.Fatal(err)
	}
	if err := s.Health(ctx); err != nil || !s.Stats().Healthy {
		t.Errorf("health %v", err)
	}
	if n := files(t, s); n != 1 {
		t.Errorf("%d files, want the one", n)
	}
}

func TestAStoreOfVersion1IsBroughtUpToDate(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	e := experiment(t, s, "e")
	save(t, s, experiments.Run{ID: "r", ExperimentID: e.ID})
	batch := make([]experiments.Point, 600)
	for i := range batch {
		batch[i] = experiments.Point{Step: int64(i), Time: 1}
	}
	batch[599].Step = 5 // so that the greatest step is not the last
	if err := s.LogMetrics(ctx, "r", experiments.MetricBatch{"m": batch}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	db, err := bbolt.Open(s.path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		series := tx.Bucket(bucketSeries)
		k := key("r", "m")
		return errors.Join(tx.DeleteBucket(bucketRequests), tx.DeleteBucket(bucketTrash), tx.Bucket(bucketMeta).Put(keyFormat, []byte{1, 0, 0, 0}),
			series.Put(k, append([]byte(nil), series.Get(k)[:headBytes1]...)))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}

	s = open(t, dir, Options{})
	if err := s.LogMetrics(ctx, "r", experiments.MetricBatch{"m": batch[300:]}); err != nil { // sent again
		t.Fatal(err)
	}
	if got := points(t, s, "r", "m"); len(got) != 600 {
		t.Errorf("%d points", len(got))
	}
	c, _ := keyed("k", "")
	if err := s.LogMetrics(c, "r", experiments.MetricBatch{"m": {{Step: 900, Time: 1}}}); err != nil {
		t.Fatal(err)
	}
	if got := points(t, s, "r", "m"); len(got) != 601 {
		t.Errorf("%d points after a new one", len(got))
	}
	sound(t, s)
	kept, err := bbolt.Open(s.path+".v1", 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	err = kept.View(func(tx *bbolt.Tx) error {
		if n := formatOf(tx); n != 1 || tx.Bucket(bucketTrash) != nil {
			t.Errorf("the copy is of format %d", n)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
