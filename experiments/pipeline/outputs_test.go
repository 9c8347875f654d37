package pipeline

import (
	"path/filepath"
	"slices"
	"testing"

	"triality/experiments"
	"triality/experiments/dataset"
	"triality/runtime/model"
)

func TestScalarsAndTheEstimatesOfIntervalsAreSeries(t *testing.T) {
	batch := ModuleMetrics(experiments.ModuleResult{Name: "m", Key: "k", Outputs: []experiments.MetricOutput{
		{Name: "one", Kind: "scalar", Values: experiments.Values{0.5}}, {Name: "none", Kind: "scalar"},
		{Name: "band", Kind: "interval", Values: experiments.Values{0.4, 0.3, 0.5}}, {Name: "half", Kind: "interval", Values: experiments.Values{0.4}},
		{Name: "list", Kind: "vector", Values: experiments.Values{1}}, {Name: "groups", Kind: "group_intervals", Values: experiments.Values{1, 2, 3}},
	}})
	if len(batch) != 2 || batch["abtest/metric/m/k/one"][0].Value != 0.5 || batch["abtest/metric/m/k/band"][0].Value != 0.4 {
		t.Errorf("%v", batch)
	}
}

func TestThousandsAreSetApart(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 123456: "123,456", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

func TestWholeNumbersInFloatsFormFitTheirBits(t *testing.T) {
	for text, want := range map[string]int64{
		"2147483647.0": 2147483647, "-2.147483648e9": -2147483648, "1e3": 1000, "-0.0": 0,
	} {
		if got, err := asInteger(text, 32); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"2.147483648e9", "-2147483649.0", "0.5", "1e300", "-1e300"} {
		if got, err := asInteger(text, 32); err == nil {
			t.Errorf("%s is taken as %d", text, got)
		}
	}
	if got, err := asInteger("9007199254740992.0", 64); err != nil || got != 1<<53 {
		t.Errorf("%d, %v", got, err)
	}
	if got, err := asInteger("9007199254740994.0", 64); err == nil {
		t.Errorf("beyond what floats tell apart: %d", got)
	}
}

func TestAFreshModelHasItsShape(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	if err := InitModel(dir, "llama", "tiny", 320, []string{"open the window please, sell me the secret"}, 1); err != nil {
		t.Fatal(err)
	}
	cfg, err := model.LoadConfig(dir)
	if err != nil || cfg.Layers != 4 {
		t.Errorf("%d layers, %v", cfg.Layers, err)
	}
	tok, err := loadTokenizer(dir)
	if err != nil {
		t.Fatal(err)
	}
	if tok.EOS() < 0 || !slices.Equal(cfg.EOS, []int{tok.EOS()}) {
		t.Errorf("the tokens that end a text are %v, the tokenizer's %d", cfg.EOS, tok.EOS())
	}
}

func TestTheTokensOfASplitAreThoseOfTheVocabulary(t *testing.T) {
	split := func(ids ...int32) map[string]*dataset.Stored {
		return map[string]*dataset.Stored{"train": {Rows: make([]dataset.Row, 1), IDs: [][]int32{ids}, Labels: [][]int32{ids}}}
	}
	if _, err := examples(split(0, 6), "train", "d", 7); err != nil {
		t.Error(err)
	}
	for _, id := range []int32{7, -1} {
		if _, err := examples(split(0, id), "train", "d", 7); err == nil {
			t.Errorf("the id %d of 7 is taken", id)
		}
	}
}
