package train

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"triality/runtime/device/reference"
)

func ofLengths(lengths ...int) []Example {
	set := make([]Example, len(lengths))
	for i, n := range lengths {
		set[i].IDs = make([]int32, n)
	}
	return set
}

func TestExamplesGoIntoTheFullestSequenceThatTheyFit(t *testing.T) {
	for _, c := range []struct {
		lengths []int
		length  int
		want    [][]int
	}{
		{[]int{3, 9, 5, 4, 7, 2}, 10, [][]int{{1}, {4, 0}, {2, 3}, {5}}},
		{[]int{6, 4, 5, 5}, 10, [][]int{{0, 1}, {2, 3}}},
		{[]int{12, 1, 10, 9}, 10, [][]int{{0}, {2}, {3, 1}}}, // one is too long for any
		{[]int{1, 2, 3}, 0, [][]int{{0}, {1}, {2}}},
		{[]int{1, 2, 3}, 1 << 50, [][]int{{2, 1, 0}}},
		{nil, 10, nil},
	} {
		if got := sequences(ofLengths(c.lengths...), c.length); !slices.EqualFunc(got, c.want, slices.Equal) {
			t.Errorf("%v in %d: %v, want %v", c.lengths, c.length, got, c.want)
		}
	}
}

func TestSequencesHoldEveryExampleOnceAndWasteLittle(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const length = 200
	lengths := make([]int, 5000)
	tokens := 0
	for i := range lengths {
		lengths[i] = 1 + random.IntN(length)
		if i%2 == 0 {
			lengths[i] = 1 + random.IntN(length/4)
		}
		tokens += lengths[i]
	}
	set := ofLengths(lengths...)
	packed := sequences(set, length)
	for _, s := range packed {
		n := 0
		for _, i := range s {
			n += lengths[i]
		}
		if n > length {
			t.Fatalf("%v has %d tokens", s, n)
		}
	}
	all := slices.Concat(packed...)
	slices.Sort(all)
	if !slices.Equal(all, indices(len(set))) {
		t.Error("an example is missing or there twice")
	}
	if least := (tokens + length - 1) / length; len(packed) > least+least/50 {
		t.Errorf("%d sequences for %d tokens, at least %d are needed", len(packed), tokens, least)
	}
}

// One step over all examples has the same loss and gradient however they are put together.
func TestPackingChangesNoLoss(t *testing.T) {
	cfg, p := testModel(t, "llama")
	set, eval := sentences(1, 12), sentences(2, 7)
	longest := 0
	for _, e := range set {
		longest = max(longest, len(e.IDs))
	}
	losses := func(packing, batch, accumulate int) map[string]float64 {
		opt := languageOptions(nil)
		opt.MaxSteps, opt.LoggingSteps = 3, 1 // each of them an epoch
		opt.Packing, opt.BatchSize, opt.GradientAccumulation = packing, batch, accumulate
		result, err := Run(context.Background(), reference.New(), cfg, p, set, eval, t.TempDir(), opt, nil)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]float64{}
		for _, r := range result.Records {
			for name, v := range r.Values {
				out[name+string(rune('0'+r.Step))] = v
			}
		}
		return out
	}
	// Two sequences a step are all twelve examples only where they are put together.
	want, got := losses(0, 3, 4), losses(6*longest, 1, 2)
	if len(want) < 6 {
		t.Fatalf("only %v", want)
	}
	for name, v := range want {
		if name[:len(name)-1] == "epoch" {
			continue
		}
		if math.Abs(got[name]-v) > 1e-5*math.Abs(v) {
			t.Errorf("%s: %v packed, %v not", name, got[name], v)
		}
	}
}
