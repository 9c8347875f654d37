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
		set = append(set, Example{ids, ids})
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
