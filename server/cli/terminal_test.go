package cli

import (
	"strings"
	"testing"
	"unicode/utf8"

	"triality/experiments"
)

func TestABarLineFitsItsTerminal(t *testing.T) {
	long := experiments.Progress{Done: 123_456_789, Total: 987_654_321, Unit: "values", Rate: 1234.5, Note: "loss 0.7100, learning rate 0.000200"}
	for columns := range 121 {
		line := barLine("finetune", long, columns)
		if n := utf8.RuneCountInString(line); n >= max(columns, 1) {
			t.Errorf("%d columns: %d are written: %q", columns, n, line)
		}
	}
	for columns, want := range map[int][]string{
		50:  {"finetune", "120/348 steps", "55s left", "█", "░"},
		120: {"finetune", "120/348 steps", "55s left", "4.1/s", "loss 0.71", "█", "░"},
	} {
		line := barLine("finetune", experiments.Progress{Done: 120, Total: 348, Unit: "steps", Rate: 4.1, Note: "loss 0.71"}, columns)
		for _, w := range want {
			if !strings.Contains(line, w) {
				t.Errorf("%d columns: %q lacks %q", columns, line, w)
			}
		}
	}
}

func TestABarIsFullAtTheEndAndAbsentWithoutATotal(t *testing.T) {
	if line := barLine("convert", experiments.Progress{Done: 7, Total: 5, Unit: "rows"}, 80); strings.Contains(line, "░") || !strings.Contains(line, "█") {
		t.Errorf("past its end: %q", line)
	}
	if line := barLine("convert", experiments.Progress{Done: 7, Unit: "rows"}, 80); strings.ContainsAny(line, "░█") {
		t.Errorf("without a total: %q", line)
	}
}
