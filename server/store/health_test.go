package store

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"triality/experiments"
	"triality/runtime/disk"
	"triality/server/store/boltpages"
)

func TestCheckCountsWhatBelongsToNothing(t *testing.T) {
	for want, put := range map[string]func(t *txn) error{
		"run list: 2 entries without a run": func(t *txn) error {
			return errors.Join(t.Bucket(bucketRunIndex).Put([]byte("a\x00stray"), nil), t.Bucket(bucketRunIndex).Put([]byte("b\x00stray"), nil))
		},
		"1 references to files belong to no record": func(t *txn) error {
			return t.Bucket(bucketBlobRefs).Put(key(strings.Repeat("a", 64), "r", "f"), nil)
		},
		"idempotency keys: 1, and the times of 2": func(t *txn) error {
			b := t.Bucket(bucketRequests)
			return errors.Join(b.Put(key("k", "a"), []byte("{}")), b.Put(ageKey(time.Now(), "a"), nil), b.Put(ageKey(time.Now(), "b"), nil))
		},
		"points: 1 chunks are not accounted for by a series": func(t *txn) error {
			return t.Bucket(bucketPoints).Put(chunkKey(99, 0), newChunk().seal())
		},
	} {
		s, _ := fresh(t, Options{})
		if err := s.update(ctx, 1, put); err != nil {
			t.Fatal(err)
		}
		if problems, err := s.Check(ctx); err != nil || len(problems) != 1 || problems[0] != want {
			t.Errorf("problems %q, want %q; %v", problems, want, err)
		}
	}
}

func TestADiskThatTakesFilesAgainIsWellAtTheNextQuestion(t *testing.T) {
	s, _ := fresh(t, Options{})
	refuse, tried := false, 0
	t.Cleanup(disk.Watch(s.blobs.dir, func(op disk.Op, do func() error) error {
		if op.Kind == disk.OpSync {
			if tried++; refuse {
				return errors.New("input/output error")
			}
		}
		return do()
	}))
	if err := s.Health(ctx); err != nil || tried != 0 {
		t.Fatalf("%v after %d tries", err, tried)
	}
	fail := func() { s.health.fail(partArtifacts, errors.New("it was full")); tried = 0 }
	fail()
	if err := s.Health(ctx); err != nil || tried != 1 || !s.Stats().Healthy {
		t.Errorf("room again: %v after %d tries", err, tried)
	}
	fail()
	s.health.probed = time.Now().Add(time.Hour) // was just tried
	if err := s.Health(ctx); err == nil || err.Error() != "it was full" || tried != 0 {
		t.Errorf("tried a moment ago: %v after %d tries", err, tried)
	}
	s.health.probed = time.Now().Add(-2 * time.Second)
	refuse = true
	if err := s.Health(ctx); err == nil || !strings.Contains(err.Error(), "input/output error") || tried != 1 {
		t.Errorf("no room yet: %v after %d tries", err, tried)
	}
	if since := time.Since(s.health.probed); since > time.Minute || since < 0 {
		t.Errorf("the try is not noted: %v ago", since)
	}
	if st := s.Stats(); st.Failures != 3 || st.Healthy {
		t.Errorf("%+v", st)
	}
}

func TestAProbeWhoseFileStaysIsAFailure(t *testing.T) {
	s, _ := fresh(t, Options{})
	s.health.fail(partArtifacts, errors.New("it was full"))
	t.Cleanup(disk.Watch(s.blobs.dir, func(op disk.Op, do func() error) error {
		if op.Kind == disk.OpRemove {
			return errors.New("input/output error")
		}
		return do()
	}))
	if err := s.Health(ctx); err == nil || !strings.Contains(err.Error(), "input/output error") {
		t.Errorf("health %v", err)
	}
}

func TestALittleRoomIsNoHealthAndTheStoresSizeIsItsFiles(t *testing.T) {
	s, _ := fresh(t, Options{leastSpace: 1 << 62})
	code(t, s.Health(ctx), experiments.CodeUnavailable, "want at least 4611686018427387904: make room", s.Dir())
	info, err := os.Stat(s.path)
	if got := s.Stats().DatabaseBytes; err != nil || got == 0 || got != info.Size() {
		t.Errorf("%d bytes, %v", got, err)
	}
}

func TestAPanicOfTheDatabaseIsDamageAndAnotherIsNot(t *testing.T) {
	s, _ := fresh(t, Options{})
	inside := guarded(func() error { return s.db.View(func(tx *bbolt.Tx) error { return tx.Commit() }) }) // which bbolt forbids
	if !errors.Is(inside, errDamaged) || experiments.CodeOf(inside) != experiments.CodeInternal {
		t.Errorf("in bbolt: %v", inside)
	}
	ours := guarded(func() error { return s.db.View(func(*bbolt.Tx) error { panic("ours") }) })
	if errors.Is(ours, errDamaged) || !strings.Contains(ours.Error(), "store: panic: ours") {
		t.Errorf("in a function of ours: %v", ours)
	}
	index := guarded(func() error { _ = strings.Fields("")[len(s.path)]; return nil })
	if errors.Is(index, errDamaged) {
		t.Errorf("an index of ours: %v", index)
	}
}

func TestDamageIsToldOnceWithTheNumberOfFaults(t *testing.T) {
	fault := boltpages.Fault{Page: 7, Text: "makes no sense"}
	for n, want := range map[int]string{1: "", 2: " (and 1 more; `triality db check` lists them)", 3: " (and 2 more; `triality db check` lists them)"} {
		d := &DamageError{Path: "x.db"}
		for range n {
			d.Faults = append(d.Faults, fault)
		}
		if got := d.Error(); !strings.HasSuffix(got, "makes no sense"+want+": restore a backup") {
			t.Errorf("%d faults: %s", n, got)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/"+FileName, []byte(strings.Repeat("not a database ", 4096)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); err == nil || strings.Count(err.Error(), "open store") != 1 {
		t.Errorf("got %v", err)
	}
}
