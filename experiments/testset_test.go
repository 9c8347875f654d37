package experiments

import (
	"slices"
	"strings"
	"testing"
)

func TestATestSetSaysWhatIsKnownOfItsRows(t *testing.T) {
	for name, tt := range map[string]struct {
		set  *TestSet
		held bool
		says string
	}{
		"nothing is known":     {nil, false, "from before that was done"},
		"not compared":         {&TestSet{Reason: "no training file"}, false, "not checked against the training data: no training file"},
		"none is in training":  {&TestSet{Checked: true, Rows: 5, TrainRows: 9}, true, "held out: none of the 5 test rows is among the 9 training rows"},
		"one is in training":   {&TestSet{Checked: true, Rows: 5, InTraining: 1, SameGroup: 1}, false, "WARNING: 1 of the 5 test rows"},
		"of one it is unknown": {&TestSet{Checked: true, Rows: 5, Unproven: 1}, false, "1 of the 5 test rows may be in the training data"},
		"both":                 {&TestSet{Checked: true, Rows: 5, InTraining: 2, Unproven: 1}, false, "WARNING: 2 of the 5 test rows"},
	} {
		if tt.set.Held() != tt.held || !strings.Contains(tt.set.Sentence(), tt.says) {
			t.Errorf("%s: held %v, %s", name, tt.set.Held(), tt.set.Sentence())
		}
	}
}

func TestARunIsDoneWhenItNeitherWaitsNorRuns(t *testing.T) {
	for _, s := range []Status{Queued, Running, Finished, Failed, Interrupted, Reused} {
		if s.Done() == slices.Contains([]Status{Queued, Running}, s) {
			t.Errorf("%s: done %v", s, s.Done())
		}
	}
}

func TestALabelsIndexIsItsPlace(t *testing.T) {
	for i, l := range Labels {
		if LabelIndex(l) != i {
			t.Errorf("%s is at %d", l, LabelIndex(l))
		}
	}
	if i := LabelIndex("allow"); i != -1 {
		t.Errorf("what is no label is at %d", i)
	}
}

func TestIntervalsHaveThreeValuesEach(t *testing.T) {
	for kind, want := range map[string]int{"scalar": 1, "groups": 1, "interval": 3, "group_intervals": 3} {
		if got := (&MetricOutput{Kind: kind}).Width(); got != want {
			t.Errorf("%s: %d", kind, got)
		}
	}
}

func TestATextIsClippedBeyondItsLimit(t *testing.T) {
	if got := clipped("ééé", 3); got != "ééé" {
		t.Error(got)
	}
	if got := clipped("éééé", 3); got != "ééé…" {
		t.Error(got)
	}
}
