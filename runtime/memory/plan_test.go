package memory

import (
	"math"
	"runtime/debug"
	"testing"
)

func TestSumsThatNoMachineCountsStayAtTheLargestNumber(t *testing.T) {
	if got := Times(4, 1_000_000_000, 1_000_000_000, 1_000_000_000); got != math.MaxInt64 {
		t.Errorf("the product is %d", got)
	}
	if got := Times(1<<62, 0, 8); got != 0 {
		t.Errorf("nothing of them is %d", got)
	}
	var p, q Plan
	p.Add("a", math.MaxInt64)
	q.Add("a", 5)
	q.Add("b", 7)
	p.Join(q)
	if p.Total() != math.MaxInt64 || p.Largest().Name != "a" {
		t.Errorf("%+v", p)
	}
	if got := q.String(); got != "b 1 kB, a 1 kB" {
		t.Errorf("%q", got)
	}
}

func TestTheCollectorKeepsToWhatIsPlannedAndIsThenLeftToItself(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	first, second := Hold(100<<20), Hold(200<<20)
	both := debug.SetMemoryLimit(-1)
	first()
	first()
	one := debug.SetMemoryLimit(-1)
	second()
	if after := debug.SetMemoryLimit(-1); after != before {
		t.Errorf("the limit was %d and is %d", before, after)
	}
	if both <= one || one <= 200<<20 || one >= 400<<20 {
		t.Errorf("limits of %d with both and %d with one", both, one)
	}
}
