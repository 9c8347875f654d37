package train

import (
	"context"
	"testing"

	"triality/runtime/device/reference"
)

func TestCompiledGraphsAreBoundedInNumber(t *testing.T) {
	dev := reference.New()
	defer dev.Close()
	var set []Example
	for i := range maxPrograms + 4 {
		ids := make([]int32, packMultiple*(i+1))
		for k := range ids {
			ids[k] = int32(k % testVocab)
		}
		set = append(set, Example{IDs: ids, Labels: ids})
	}
	opt := testOptions()
	opt.Epochs, opt.BatchSize, opt.GradientAccumulation = 2, 1, 1
	r, err := newRunner(dev, bigrams(0), set, nil, t.TempDir(), opt, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	most := 0
	r.afterStep = func(int) error { most = max(most, len(r.programs.held)); return nil }
	if _, err := r.run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if most != maxPrograms {
		t.Errorf("%d graphs were held, the bound is %d", most, maxPrograms)
	}
}

func TestTheGraphUsedLongestAgoMakesRoom(t *testing.T) {
	dev := reference.New()
	defer dev.Close()
	r, err := newRunner(dev, bigrams(0), sentences(1, 6), nil, t.TempDir(), testOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	get := func(rows int) *compiled {
		t.Helper()
		c, err := r.programs.get(rows, true)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first, second := get(1), get(2)
	for rows := 3; rows <= maxPrograms; rows++ {
		get(rows)
	}
	get(1) // was the oldest
	get(maxPrograms + 1)
	if get(1) != first {
		t.Error("a graph that was just used made room")
	}
	if get(2) == second {
		t.Error("the graph used longest ago is still held")
	}
}
