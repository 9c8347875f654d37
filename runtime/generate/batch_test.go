package generate

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/cpu"
	"triality/runtime/device/reference"
	"triality/runtime/model"
)

// withWindow is tiny with a sliding window in its second layer.
func withWindow(t *testing.T) (model.Config, *model.Params) {
	cfg, p := tiny(t, "llama", true)
	cfg.Windows = []int{0, 9}
	return cfg, p
}

// withLongrope changes its rotary frequencies at 40 tokens.
func withLongrope(t *testing.T) (model.Config, *model.Params) {
	cfg, p := tiny(t, "llama", true)
	cfg.Rope = model.Rope{Type: "longrope", Original: 40, Short: []float64{1, 1.5}, Long: []float64{3, 7}, Attention: 1.1}
	return cfg, p
}

// near allows for rounding, which the large weights of tiny magnify in float32.
func near(t *testing.T, what string, got, want []float64, within float64) {
	t.Helper()
	for i := range want {
		if d := math.Abs(got[i] - want[i]); !(d <= within*math.Abs(want[i])) {
			t.Errorf("%s, continuation %d: %.9g, alone %.9g", what, i, got[i], want[i])
		}
	}
}

func TestScoresOfManyPromptsAreThoseOfEach(t *testing.T) {
	with := func(prefix, n, seed int) []int32 { return append(tokens(prefix, 5), tokens(n, seed)...) }
	for name, c := range map[string]struct {
		prompts       [][]int32
		continuations []int
	}{
		"a common prefix":              {[][]int32{with(30, 5, 1), with(30, 9, 2), with(30, 1, 3)}, []int{1, 2, 4}},
		"one prompt":                   {[][]int32{with(30, 5, 1)}, []int{3, 1}},
		"nothing in common":            {[][]int32{tokens(12, 1), tokens(7, 2)}, []int{2}},
		"a prompt that is all prefix":  {[][]int32{with(30, 0, 0), with(30, 6, 1)}, []int{2, 3}},
		"the same prompt twice":        {[][]int32{with(30, 2, 0), with(30, 2, 0)}, []int{1, 1}},
		"prompts of one token":         {[][]int32{{3}, {3}, {7}}, []int{1, 5}},
		"more than one pack":           {[][]int32{with(40, 90, 1), with(40, 95, 2), with(40, 99, 3), with(40, 97, 4), with(40, 120, 6), with(40, 90, 7)}, []int{1, 3}},
		"one that fits in no pack":     {[][]int32{with(9, 20, 1), with(9, maxChunk, 2), with(9, 30, 3)}, []int{2, 2}},
		"a prefix longer than a chunk": {[][]int32{with(maxChunk+30, 4, 1), with(maxChunk+30, 8, 2)}, []int{2}},
		"no continuations":             {[][]int32{with(3, 4, 1)}, nil},
	} {
		for kind, make := range map[string]func(*testing.T) (model.Config, *model.Params){
			"plain": func(t *testing.T) (model.Config, *model.Params) { return tiny(t, "qwen2", false) }, "window": withWindow, "longrope": withLongrope,
		} {
			t.Run(kind+", "+name, func(t *testing.T) {
				newDevice, within := devices["reference"], 1e-9
				if len(c.prompts) > 5 || slices.ContainsFunc(c.prompts, func(p []int32) bool { return len(p) > 100 }) {
					newDevice, within = devices["cpu"], 2e-4 // the reference is slow
				}
				cfg, p := make(t)
				one, many := open(t, newDevice(), cfg, p), open(t, newDevice(), cfg, p)
				var conts [][]int32
				for i, n := range c.continuations {
					conts = append(conts, tokens(n, 20+i))
				}
				got, err := many.ScoreBatch(t.Context(), c.prompts, conts)
				if err != nil || len(got) != len(c.prompts) {
					t.Fatal(len(got), err)
				}
				for i, p := range c.prompts {
					want, err := one.Score(t.Context(), p, conts)
					if err != nil {
						t.Fatal(err)
					}
					near(t, fmt.Sprintf("prompt %d", i), got[i], want, within)
				}
			})
		}
	}
}

func TestAKeptPrefixServesLaterCallsUntilAnotherUse(t *testing.T) {
	cfg, p := tiny(t, "llama", true)
	counting := &counter{Device: cpu.New(cpu.Options{})}
	e, alone := open(t, counting, cfg, p), open(t, cpu.New(cpu.Options{}), cfg, p)
	prefix, conts := tokens(60, 1), [][]int32{tokens(2, 8), tokens(3, 9)}
	if err := e.Keep(t.Context(), prefix); err != nil {
		t.Fatal(err)
	}
	score := func(what string, ids []int32, rows int) {
		t.Helper()
		counting.rows = 0
		got, err := e.ScoreBatch(t.Context(), [][]int32{ids}, conts)
		if err != nil {
			t.Fatal(err)
		}
		want, err := alone.Score(t.Context(), ids, conts)
		if err != nil {
			t.Fatal(err)
		}
		near(t, what, got[0], want, 2e-4)
		if counting.rows != rows {
			t.Errorf("%s: %d tokens went through the model, want %d", what, counting.rows, rows)
		}
	}
	score("after the prefix", append(slices.Clone(prefix), 4, 5, 6), bucket(3+3))
	score("the prefix itself", prefix, bucket(1+3))
	score("half of the prefix", append(slices.Clone(prefix[:30]), 4, 5, 6), bucket(3+3))
	score("another prompt", tokens(20, 4), bucket(20-shared(prefix, tokens(20, 4))+3))
	score("the kept prefix is still there", append(slices.Clone(prefix), 7), bucket(1+3))
	if _, err := e.Generate(t.Context(), Request{Prompt: tokens(9, 9), MaxNew: 3}); err != nil {
		t.Fatal(err)
	}
	score("after a text", append(slices.Clone(prefix), 4), bucket(61+3))
}

// counter counts the tokens that go through the model's first rotation.
type counter struct {
	device.Device
	rows int
}

func (c *counter) Embedding(dst, table, ids device.Buffer, T, D int) {
	if table.Len() == 50*24 { // the vocabulary's
		c.rows += T
	}
	c.Device.Embedding(dst, table, ids, T, D)
}

// requests differ in length, sampling and end.
func requests(positions int) []Request {
	var out []Request
	for i := range 9 {
		r := Request{Prompt: tokens(1+i*i%37, i), MaxNew: 3 + (i*7)%25, Decoder: &spell{}}
		if i%2 == 1 {
			r.Sampling = Sampling{Temperature: 1.5, TopP: 0.95, RepetitionPenalty: 1.1, Seed: 4, Sequence: uint32(i)}
		}
		if i == 4 {
			r.Prompt = tokens(min(maxChunk+60, positions-30), i)
		}
		if i%3 == 0 {
			r.Stop = []string{"a", "qz"}
		}
		out = append(out, r)
	}
	out[7].MaxNew = 0
	return out
}

func TestTextsMadeTogetherAreThoseMadeAlone(t *testing.T) {
	for kind, make := range map[string]func(*testing.T) (model.Config, *model.Params){
		"plain": func(t *testing.T) (model.Config, *model.Params) { return tiny(t, "qwen2", false) }, "window": withWindow, "longrope": withLongrope,
	} {
		cfg, p := make(t)
		one, many := open(t, reference.New(), cfg, p), open(t, reference.New(), cfg, p)
		var want []Result
		for _, r := range requests(cfg.MaxPositions) {
			out, err := one.Generate(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, out)
		}
		for _, atOnce := range []int{1, 3, 20} {
			t.Run(fmt.Sprintf("%s, %d at once", kind, atOnce), func(t *testing.T) {
				asked := requests(cfg.MaxPositions)
				streamed := [9]string{}
				for i := range asked {
					asked[i].Emit = func(s string) { streamed[i] += s }
				}
				got, err := many.GenerateBatch(t.Context(), asked, atOnce)
				if err != nil {
					t.Fatal(err)
				}
				for i := range want {
					if !slices.Equal(got[i].IDs, want[i].IDs) || got[i].Text != want[i].Text || got[i].Finish != want[i].Finish || streamed[i] != want[i].Text {
						t.Errorf("request %d gives %+v, streamed %q, alone %+v", i, got[i], streamed[i], want[i])
					}
				}
			})
		}
	}
}

func TestTheReferenceDeviceBatchesAlike(t *testing.T) {
	cfg, p := tiny(t, "llama", true)
	e := open(t, reference.New(), cfg, p)
	prompts, conts := [][]int32{tokens(20, 1), append(tokens(15, 1), 3, 4)}, [][]int32{tokens(2, 8), tokens(1, 9)}
	got, err := e.ScoreBatch(t.Context(), prompts, conts)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range prompts {
		want, err := e.Score(t.Context(), p, conts)
		if err != nil {
			t.Fatal(err)
		}
		near(t, fmt.Sprint(i), got[i], want, 1e-9)
	}
	texts, err := e.GenerateBatch(t.Context(), []Request{{Prompt: prompts[0], MaxNew: 6}, {Prompt: prompts[1], MaxNew: 4}}, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range []int{6, 4} {
		if ids, err := e.Greedy(t.Context(), prompts[i], n, nil); err != nil || !slices.Equal(ids, texts[i].IDs) {
			t.Errorf("%v, alone %v, %v", texts[i].IDs, ids, err)
		}
	}
}

func TestABatchThatCannotBeIsRefused(t *testing.T) {
	cfg, p := tiny(t, "llama", true)
	e := open(t, cpu.New(cpu.Options{}), cfg, p)
	ok := Request{Prompt: tokens(3, 1), MaxNew: 5}
	ctx, cancel := context.WithCancel(t.Context())
	for want, f := range map[string]func() error{
		"0 sequences at once": func() error { _, err := e.GenerateBatch(ctx, []Request{ok}, 0); return err },
		"request 1: ":         func() error { _, err := e.GenerateBatch(ctx, []Request{ok, {}}, 2); return err },
		"prompt 1 is empty":   func() error { _, err := e.ScoreBatch(ctx, [][]int32{{1}, {}}, [][]int32{{1}}); return err },
		"continuation 0":      func() error { _, err := e.ScoreBatch(ctx, [][]int32{{1}}, [][]int32{{99}}); return err },
		"the prefix":          func() error { return e.Keep(ctx, nil) },
		"positions":           func() error { _, err := e.ScoreBatch(ctx, [][]int32{tokens(2047, 1)}, [][]int32{{1, 2}}); return err },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	cancel()
	if _, err := e.GenerateBatch(ctx, []Request{ok}, 2); err != context.Canceled {
		t.Errorf("a cancelled context gives %v", err)
	}
	if out, err := e.GenerateBatch(t.Context(), nil, 2); err != nil || len(out) != 0 {
		t.Errorf("no requests give %v, %v", out, err)
	}
}

func TestNarrowWeightsBatchAlike(t *testing.T) {
	for name, st := range map[string]model.Storage{
		"int8":     {Int8: true}, // without outliers, whose columns are those of the tokens computed together
		"bfloat16": {Matrices: device.BFloat16}, "float16": {Matrices: device.Float16},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, p := tiny(t, "llama", true)
			dev := reference.New()
			d, err := model.UploadAs(dev, cfg, p, st)
			if err != nil {
				t.Fatal(err)
			}
			e, err := New(dev, cfg, d, model.Hooks{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { e.Close(); d.Close(); dev.Close() })
			prompts, conts := [][]int32{tokens(20, 1), append(tokens(15, 1), 3, 4)}, [][]int32{tokens(2, 8), tokens(1, 9)}
			got, err := e.ScoreBatch(t.Context(), prompts, conts)
			if err != nil {
				t.Fatal(err)
			}
			texts, err := e.GenerateBatch(t.Context(), []Request{{Prompt: prompts[0], MaxNew: 6}, {Prompt: prompts[1], MaxNew: 4}}, 2)
			if err != nil {
				t.Fatal(err)
			}
			for i, p := range prompts {
				want, err := e.Score(t.Context(), p, conts)
				if err != nil {
					t.Fatal(err)
				}
				near(t, fmt.Sprint(i), got[i], want, 1e-9)
				if ids, err := e.Greedy(t.Context(), p, len(texts[i].IDs), nil); err != nil || !slices.Equal(ids, texts[i].IDs) {
					t.Errorf("%v, alone %v, %v", texts[i].IDs, ids, err)
				}
			}
		})
	}
}
