package books

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// largeBook is a notebook of n cells, each of which trains on from the one before.
func largeBook(n int) string {
	var out strings.Builder
	out.WriteString("```triality convert id=c0\nbase_model: m\ndata:\n  input_path: rows.jsonl\n```\n")
	for i := 1; i < n; i++ {
		from := "m"
		if i > 1 {
			from = fmt.Sprintf("${c%d.model}", i-1)
		}
		fmt.Fprintf(&out, "\nProse %d.\n\n```triality finetune id=c%d\nbase_model: %s\ndataset: ${c0.dataset}\nmax_length: %d\n```\n", i, i, from, 100+i)
	}
	return out.String()
}

// The state of 500 cells, all of which are out of date, takes about five times what that of 100 does. Where the whole text was
// read for each cell it took fourteen to nineteen times that.
func TestTheStatesOf500CellsTakeTimeThatGrowsWithTheirNumber(t *testing.T) {
	b := newBench(t)
	takes := func(n int) time.Duration {
		name := "b.md"
		b.run(name, largeBook(n), nil)
		b.plan.done = map[string]bool{}
		edited := strings.Replace(largeBook(n), "rows.jsonl", "others.jsonl", 1)
		least := time.Hour
		for range 2 {
			b.status(name, largeBook(n)) // the run is read
			began := time.Now()
			s := b.status(name, edited)
			least = min(least, time.Since(began))
			if len(s.Cells) != n || s.Cells[n-1].State != Stale || len(s.Cells[n-1].Changes) != 1 {
				t.Fatalf("%d cells, the last %+v", len(s.Cells), s.Cells[len(s.Cells)-1])
			}
		}
		return least
	}
	small, large := takes(100), takes(500)
	t.Logf("100 cells %v, 500 cells %v", small, large)
	if large > 10*small+100*time.Millisecond {
		t.Errorf("500 cells take %v, 100 take %v", large, small)
	}
}
