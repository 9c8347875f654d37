package abtest

import (
	"testing"

	"triality/experiments"
)

func TestRowsArePairedByWhatTheySayAndNotByTheirPlace(t *testing.T) {
	row := func(text, label, a, b string) experiments.Sample {
		return experiments.Sample{Group: "g", Text: text, Label: label, PredictionA: a, PredictionB: b}
	}
	first := []experiments.Sample{row("one", "ALLOW", "1a", "1b"), row("twice", "DENY", "2a", "2b"), row("twice", "DENY", "3a", "3b"), row("gone", "DENY", "", ""), row("moved", "DENY", "", "")}
	second := []experiments.Sample{row("twice", "DENY", "4a", "4b"), row("new", "DENY", "", ""), row("one", "ALLOW", "5a", "5b"), row("twice", "DENY", "6a", "6b"), row("moved", "REFUSE", "", "")}
	p := Pair(first, "A", second, "B")
	got := ""
	for _, s := range p.Samples {
		got += s.PredictionA + " " + s.PredictionB + ", "
	}
	if want := "2a 4b, 1a 5b, 3a 6b, "; got != want || p.OnlyA != 1 || p.OnlyB != 1 || p.Relabelled != 1 || len(p.Keys) != 3 {
		t.Errorf("%s, want %s: %+v", got, want, p)
	}
	if Judged(p.Samples) || Judged(nil) {
		t.Error("answers that are no class were judged")
	}
	for _, s := range []experiments.Sample{{Text: "a", Group: "bc"}, {Text: "ab", Group: "c"}, {Text: "a", Language: "bc"}} {
		if k := Keys([]experiments.Sample{s, {Text: "abc"}}); k[0] == k[1] {
			t.Errorf("%+v has another's key", s)
		}
	}
}
