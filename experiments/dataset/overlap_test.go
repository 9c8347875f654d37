package dataset

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
)

// overlapByDefinition is Compare by its definition.
func overlapByDefinition(train, held []*Row) (o Overlap) {
	for _, h := range held {
		group, near := false, false
		for _, t := range train {
			group = group || h.Group != "" && h.Group == t.Group
			near = near || jaccard(h.Text(), t.Text()) >= 0.7
		}
		if group {
			o.Group++
		}
		if near {
			o.Near++
		}
		if group || near {
			o.Either++
		}
	}
	return o
}

func TestRowsThatAreInTheTrainingDataAreFoundByBothWays(t *testing.T) {
	found := 0
	for seed := range uint64(24) {
		rng := rand.New(rand.NewPCG(seed, 3))
		texts := randomTexts(rng, 120, []int{400, 30, 6}[seed%3])
		var train, held []*Row
		for i, text := range texts {
			r := &Row{Input: text}
			if rng.IntN(2) == 0 {
				r.Group = fmt.Sprint("g", rng.IntN(80))
			}
			if i%3 == 0 {
				held = append(held, r)
			} else {
				train = append(train, r)
			}
		}
		want := overlapByDefinition(train, held)
		got, err := Compare(context.Background(), train, held, nil)
		if err != nil || got != want {
			t.Errorf("seed %d: %+v, %v; want %+v", seed, got, err, want)
		}
		if got, err := compareBy(context.Background(), nearByIndex, train, held, func(int) {}); err != nil || got != want {
			t.Errorf("seed %d, by index: %+v, %v; want %+v", seed, got, err, want)
		}
		found += want.Near
	}
	if found < 100 {
		t.Errorf("%d near-duplicates: the corpora test nothing", found)
	}
	if o, err := Compare(context.Background(), nil, nil, nil); err != nil || o != (Overlap{}) {
		t.Errorf("nothing overlaps with nothing in %+v, %v", o, err)
	}
}

func TestARowThatIsNearIsNotCountedAsUnprovenToo(t *testing.T) {
	find := func(_ context.Context, _, _ []*Row, near, unproven []bool, _ func(int)) error {
		near[0], near[1], unproven[1], unproven[2] = true, true, true, true
		return nil
	}
	o, err := compareBy(context.Background(), find, nil, []*Row{{}, {}, {}, {}}, nil)
	if want := (Overlap{Near: 2, Either: 2, Unproven: 1}); err != nil || o != want {
		t.Errorf("%+v, %v; want %+v", o, err, want)
	}
}

func TestLeaksAreFoundWhateverTheSplitWasMadeBy(t *testing.T) {
	p, o := prepare(t, jsonl(80), nil)
	// Two rows of one group are torn apart, as a wrong split would.
	for i := range p.Rows.Rows {
		if p.Rows.Rows[i].Group == "s3" {
			p.Assign[i] = 2 * (i % 2)
		}
	}
	sum, err := p.Convert(context.Background(), t.TempDir()+"/d", nil, o, nil)
	if err != nil || sum.Leaks != 1 {
		t.Errorf("%d leaks, %v; want 1", sum.Leaks, err)
	}
	// A near-duplicate of another group is put beside it.
	p.Rows.Rows[0].Input = p.Rows.Rows[79].Input + "!"
	p.Assign[0], p.Assign[79] = 0, 2
	sum, err = p.Convert(context.Background(), t.TempDir()+"/d", nil, o, nil)
	if err != nil || sum.Leaks < 2 {
		t.Errorf("%d leaks, %v; want more than 1", sum.Leaks, err)
	}
}
