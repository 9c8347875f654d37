package train

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestPermutationDependsOnSeedAndEpochAlone(t *testing.T) {
	a := permutation(1, 0, 100)
	if !slices.Equal(a, permutation(1, 0, 100)) {
		t.Error("the same seed and epoch gave two orders")
	}
	if slices.Equal(a, permutation(1, 1, 100)) || slices.Equal(a, permutation(2, 0, 100)) {
		t.Error("another epoch or seed gave the same order")
	}
	slices.Sort(a)
	if !slices.Equal(a, indices(100)) {
		t.Error("not a permutation")
	}
}

func TestPermutationReachesEveryOrderAboutEquallyOften(t *testing.T) {
	counts := map[[3]int]int{}
	for seed := range uint64(6000) {
		counts[[3]int(permutation(seed, 0, 3))]++
	}
	for order, n := range counts {
		if n < 850 || n > 1150 { // five standard deviations
			t.Errorf("%v came %d times of 6000", order, n)
		}
	}
	if len(counts) != 6 {
		t.Errorf("%d orders", len(counts))
	}
}

// given is a source of the numbers it is made of.
type given []uint64

func (g *given) Uint64() uint64 {
	v := (*g)[0]
	*g = (*g)[1:]
	return v
}

func TestADrawThatWouldFavourSmallNumbersIsThrownAway(t *testing.T) {
	// 2⁶⁴ is one more than a multiple of 3: of its numbers the first is left over.
	if got := below(&given{0, 1, 5}, 3); got != 1 {
		t.Errorf("got %d", got)
	}
}

func TestPlanCutsEpochsIntoWindows(t *testing.T) {
	p := newPlan(sequences(make([]Example, 11), 0), 1.3, 0, 2, 4, 9) // 6 micro-batches, 2 steps an epoch
	if p.perEpoch != 2 || p.total != 3 {
		t.Fatalf("%d steps an epoch, %d in all", p.perEpoch, p.total)
	}
	first, second := p.window(0), p.window(1)
	if len(first) != 4 || len(second) != 2 || len(second[1]) != 1 {
		t.Errorf("windows %v %v", first, second)
	}
	all := slices.Concat(append(first, second...)...)
	slices.Sort(all)
	if !slices.Equal(all, indices(11)) {
		t.Errorf("the epoch visits %v", all)
	}
	again := newPlan(sequences(make([]Example, 11), 0), 1.3, 0, 2, 4, 9).window(2)
	if !slices.EqualFunc(p.window(2), again, slices.Equal) {
		t.Error("a window depends on what came before it")
	}
	if n := newPlan(sequences(make([]Example, 11), 0), 1.5, 7, 2, 4, 9).total; n != 7 {
		t.Errorf("max_steps 7 gives %d", n)
	}
}

func TestAWindowWithoutATrainedTokenNamesItsExamples(t *testing.T) {
	set := []Example{
		{IDs: []int32{1, 2}, Labels: []int32{1, 2}},
		{IDs: []int32{1, 2}, Labels: []int32{1, Masked}}, // a label on the first token trains nothing
	}
	err := newPlan(sequences(set, 0), 1, 0, 1, 1, 3).checkTrained(set)
	if !errors.Is(err, ErrNothingTrained) || !strings.Contains(err.Error(), "examples [1]") {
		t.Errorf("got %v", err)
	}
	if err := newPlan(sequences(set, 0), 1, 0, 2, 1, 3).checkTrained(set); err != nil {
		t.Errorf("both in one window: %v", err)
	}
}

// Two of four examples train nothing: a step has none that does where the order puts those two into one batch.
func TestAStepThatTrainsNothingIsNamedWithItsEpoch(t *testing.T) {
	set := make([]Example, 4)
	for i := range set {
		set[i] = Example{IDs: []int32{1, 2}, Labels: []int32{1, 0}} // the token 0 is trained on as any other
	}
	if err := newPlan(sequences(set, 0), 3, 0, 2, 1, 1).checkTrained(set); err != nil {
		t.Error(err)
	}
	for i := range 2 {
		set[i].Labels[1] = Masked
	}
	later := false
	for seed := range uint64(20) {
		want := ""
		for done := 0; want == "" && done < 6; done++ {
			if order := permutation(seed, done/2, 4)[done%2*2:][:2]; order[0] < 2 && order[1] < 2 {
				want = fmt.Sprintf("step %d (epoch %d): %v: train examples %v", done+1, done/2+1, ErrNothingTrained, order)
				later = later || done >= 2
			}
		}
		got := ""
		if err := newPlan(sequences(set, 0), 3, 0, 2, 1, seed).checkTrained(set); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("seed %d: %s, want %s", seed, got, want)
		}
	}
	if !later {
		t.Error("no seed fails in a later epoch")
	}
}

func TestOfManyExamplesTwentyAreNamed(t *testing.T) {
	if all := someOf(indices(20)); all != fmt.Sprint(indices(20)) {
		t.Errorf("of 20: %s", all)
	}
	if some := someOf(indices(23)); some != fmt.Sprint(indices(20))+" and 3 more" {
		t.Errorf("of 23: %s", some)
	}
}

func TestEveryLabelHasItsShareOfTheLoss(t *testing.T) {
	w := &Window{Trained: 4}
	if got := w.LossWeights(&Packed{IDs: make([]int32, 3), Labels: []int32{0, Masked, 7}}); !slices.Equal(got, []float64{0.25, 0, 0.25}) {
		t.Errorf("got %v", got)
	}
}

func TestPackLaysSequencesEndToEnd(t *testing.T) {
	set := []Example{
		{IDs: []int32{5, 6, 7}, Labels: []int32{5, Masked, 7}},
		{IDs: []int32{8, 9}, Labels: []int32{Masked, 9}},
	}
	p := pack(set, []int{1, 0})
	if p.T() != 32 || p.Tokens != 5 || p.Trained != 2 {
		t.Fatalf("T=%d tokens=%d trained=%d", p.T(), p.Tokens, p.Trained)
	}
	check := func(name string, got []int32, want ...int32) {
		t.Helper()
		if !slices.Equal(got[:6], want) {
			t.Errorf("%s: %v, want %v", name, got[:6], want)
		}
	}
	check("ids", p.IDs, 8, 9, 5, 6, 7, 0)
	check("positions", p.Pos, 0, 1, 0, 1, 2, 0)
	check("lo", p.Lo, 0, 0, 2, 2, 2, 5)
	check("hi", p.Hi, 1, 2, 3, 4, 5, 6)
	check("labels", p.Labels, 9, Masked, Masked, 7, Masked, Masked)
	if p.Lo[31] != 31 || p.Hi[31] != 32 || !slices.Equal(p.Starts, []int{0, 2}) {
		t.Errorf("padding %d..%d, starts %v", p.Lo[31], p.Hi[31], p.Starts)
	}
}

func TestTheLongestSequenceOfABatchIsNotItsPadding(t *testing.T) {
	p := pack([]Example{{IDs: make([]int32, 3), Labels: make([]int32, 3)}, {IDs: make([]int32, 7), Labels: make([]int32, 7)}}, []int{0, 1, 0})
	if p.Longest() != 7 {
		t.Errorf("got %d", p.Longest())
	}
}

func TestPackAddsNoPaddingToAFullBatch(t *testing.T) {
	e := Example{IDs: make([]int32, 32), Labels: make([]int32, 32)}
	if p := pack([]Example{e}, []int{0}); p.T() != 32 || p.Trained != 31 {
		t.Errorf("T=%d trained=%d", p.T(), p.Trained)
	}
}

func TestExamplesAreHeldToTheModel(t *testing.T) {
	tests := []struct {
		name string
		e    Example
		want string
	}{
		{"empty", Example{}, "no tokens"},
		{"labels of another length", Example{IDs: []int32{1}}, "1 tokens but 0 labels"},
		{"an id outside the vocabulary", Example{IDs: []int32{9}, Labels: []int32{1}}, "id 9"},
		{"a label outside the vocabulary", Example{IDs: []int32{1}, Labels: []int32{9}}, "label 9"},
		{"too long", Example{IDs: make([]int32, 4), Labels: make([]int32, 4)}, "lower max_length"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := checkExamples("eval", []Example{tt.e}, 9, 3)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "eval example 0") {
				t.Errorf("got %v", err)
			}
		})
	}
	whole := Example{IDs: []int32{0, 8, 0}, Labels: []int32{0, 8, Masked}} // its length, ids and labels are just allowed
	if err := errors.Join(checkExamples("eval", []Example{whole}, 9, 3), checkExamples("eval", []Example{whole}, 9, 0)); err != nil {
		t.Error(err)
	}
}
