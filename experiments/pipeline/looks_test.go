package pipeline

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/dataset"
)

func TestLooksAtTestRowsAreCountedAndADesignThatChangedIsSaid(t *testing.T) {
	dir := t.TempDir()
	o := ABTestOptions{TestData: filepath.Join(dir, "dataset"), Test: config.Default().Test}
	at := func(design experiments.Design) *experiments.Looks {
		o.Test.Design = design
		r := &experiments.ABResult{Inference: &experiments.Inference{DesignHash: design.Hash()}}
		return countLook(t.Context(), o, r, &notesSink{})
	}
	d := experiments.DefaultDesign()
	first := at(d)
	if first.Count != 1 || first.Changed || first.Reason != "" {
		t.Fatalf("%+v", first)
	}
	if second := at(d); second.Count != 2 || second.Changed || !second.First.Equal(first.First) {
		t.Errorf("%+v", second)
	}
	d.Margin = 0.01
	if third := at(d); third.Count != 3 || !third.Changed || third.FirstDesign != experiments.DefaultDesign().Hash() {
		t.Errorf("%+v", third)
	}
	// A line that a power cut left half written was never told.
	path := o.TestData + looksSuffix
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(text, `{"time":"2026`...), 0o644); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			r := &experiments.ABResult{Inference: &experiments.Inference{DesignHash: d.Hash()}}
			if l := countLook(t.Context(), o, r, &notesSink{}); l.Reason != "" {
				t.Error(l.Reason)
			}
		})
	}
	wg.Wait()
	if last := at(d); last.Count != 12 {
		t.Errorf("after 8 at once: %+v", last)
	}
	// Another's file is not written over, and what cannot be counted is said.
	if err := os.WriteFile(path, []byte("not ours\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if l := at(d); l.Count != 0 || !strings.Contains(l.Reason, "dataset.looks:1") {
		t.Errorf("%+v", l)
	}
	if text, _ := os.ReadFile(path); string(text) != "not ours\n" {
		t.Errorf("it was changed to %q", text)
	}
}

func TestALookThatIsCountedAgainUnderItsNameIsTheSameLook(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dataset")
	count := func(id string) experiments.Looks {
		l, err := CountLook(t.Context(), path, experiments.Look{ID: id, DesignHash: "d"})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	one, two := count("run1/key"), count("run2/key")
	if one.Count != 1 || two.Count != 2 {
		t.Fatalf("%+v, %+v", one, two)
	}
	if again := count("run1/key"); again != one {
		t.Errorf("the first look again is %+v, was %+v", again, one)
	}
	if three, four := count(""), count(""); three.Count != 3 || four.Count != 4 {
		t.Errorf("looks of no run are %d and %d", three.Count, four.Count)
	}
}

// notesSink takes notes and nothing else.
type notesSink struct{ Sink }

func (*notesSink) Note(string) {}

func TestTheUnitOfIndependenceIsAFieldThatTheRowsHave(t *testing.T) {
	rows := []dataset.Row{{Label: "ALLOW", Group: "s1", Language: "en"}, {Label: "DENY", Language: "ja"}}
	for unit, want := range map[string][2]string{"source_sample": {"s1", ""}, "row": {"", ""}, "language": {"en", "ja"}, "four_class_label": {"ALLOW", "DENY"}} {
		if got, err := unitsOf(rows, unit); err != nil || [2]string(got) != want {
			t.Errorf("%s: %q, %v", unit, got, err)
		}
	}
	if _, err := unitsOf(rows, "customer"); experiments.CodeOf(err) != experiments.CodeInvalid || !strings.Contains(err.Error(), `test.design.unit: no row has "customer"`) {
		t.Error(err)
	}
}

func TestALockThatIsHeldIsWaitedForUntilTheContextEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rows.looks.lock")
	release, err := holdLock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if unlock, err := holdLock(ended, path); !errors.Is(err, context.Canceled) || unlock != nil {
		t.Errorf("held: %v", err)
	}
	release()
	if unlock, err := holdLock(ended, path); err != nil {
		t.Errorf("released: %v", err)
	} else {
		unlock()
	}
}
