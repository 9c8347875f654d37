package parity

import (
	"encoding/json"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"triality/runtime/atomicfile"
	"triality/runtime/generate"
	"triality/runtime/lora"
	"triality/runtime/model"
)

// engine is the generation engine over the fixture's model, with the adapter where it is not nil.
func (f *fixture) engine(t testing.TB, params *model.Params, a *lora.Adapter) *generate.Engine {
	t.Helper()
	dev := newDevice(t)
	on, err := model.Upload(dev, f.cfg, params)
	if err != nil {
		t.Fatal(err)
	}
	var hooks model.Hooks
	if a != nil {
		hooks = a.Hooks(hooks, false)
		if err := a.Put(on); err != nil {
			t.Fatal(err)
		}
	}
	e, err := generate.New(dev, f.cfg, on, hooks)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close(); on.Close() })
	return e
}

func logits(t testing.TB, e *generate.Engine, ids []int32) []float32 {
	t.Helper()
	out, err := e.Logits(ids)
	if err != nil {
		t.Fatal(err)
	}
	return flat(out)
}

func eachFamily(t *testing.T, test func(t *testing.T, f *fixture)) {
	for _, name := range families {
		t.Run(name, func(t *testing.T) { test(t, load(t, name)) })
	}
}

func TestLogitsAreThoseOfTransformers(t *testing.T) {
	eachFamily(t, func(t *testing.T, f *fixture) {
		e := f.engine(t, f.params, nil)
		closeTo(t, "single", logits(t, e, f.data.Single), f.want(t, "single"), 1e-5)
		closeTo(t, "long", logits(t, e, f.data.Long), f.want(t, "long"), 1e-5)
		closeTo(t, "single again", logits(t, e, f.data.Single), f.want(t, "single"), 1e-5)
		for i, ids := range f.data.Batch {
			closeTo(t, "left-padded batch", logits(t, e, ids), f.want(t, "batch."+string(rune('0'+i))), 1e-5)
		}
	})
}

func TestTheLossIsThatOfTransformers(t *testing.T) {
	eachFamily(t, func(t *testing.T, f *fixture) {
		e := f.engine(t, f.params, nil)
		ids := f.data.Single
		got, err := e.Score(t.Context(), ids[:1], [][]int32{ids[1:]})
		if err != nil {
			t.Fatal(err)
		}
		closeTo(t, "loss", []float64{-got[0] / float64(len(ids)-1)}, []float64{f.Loss}, 1e-5)
	})
}

func TestPaddedAndPackedSequencesGiveTheLogitsOfSingleOnes(t *testing.T) {
	eachFamily(t, func(t *testing.T, f *fixture) {
		V := f.cfg.VocabSize
		e := f.engine(t, f.params, nil)
		for name, width := range map[string]int{"packed": 0, "left-padded": 12} {
			r, starts := pack(width, f.data.Batch...)
			p := build(t, f.cfg, nil, len(r.ids))
			got := f.run(t, p, nil, r, nil, p.logits)[0]
			for i, s := range f.data.Batch {
				part := got[starts[i]*V : (starts[i]+len(s))*V]
				closeTo(t, name+" and single", part, logits(t, e, s), 2e-6)
				closeTo(t, name+" and transformers' left-padded", part, f.want(t, "batch."+string(rune('0'+i))), 1e-5)
			}
		}
	})
}

func TestGreedyTokensAreThoseOfTransformers(t *testing.T) {
	eachFamily(t, func(t *testing.T, f *fixture) {
		e := f.engine(t, f.params, nil)
		got, err := e.Greedy(t.Context(), f.data.Prompt, f.data.NewTokens, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 24 || !slices.Equal(got, f.GreedyPlain) {
			t.Errorf("tokens are\n%v, transformers without its cache gives\n%v", got, f.GreedyPlain)
		}
		// Where longrope passes from short to long in mid-generation, transformers with its cache
		// (5.17) goes on with keys of both kinds; without, it gives what the model defines.
		if !slices.Equal(f.Greedy, f.GreedyPlain) && f.cfg.Rope.Type != "longrope" {
			t.Errorf("transformers gives\n%v with its cache and\n%v without", f.Greedy, f.GreedyPlain)
		}
	})
}

func TestAConfigurationReadsTheSameHoweverOldItsFormat(t *testing.T) {
	eachFamily(t, func(t *testing.T, f *fixture) {
		dir := t.TempDir() // with the weights, which a configuration that ties the head is held to
		for from, to := range map[string]string{"config_saved.json": model.ConfigFile, model.WeightsFile: model.WeightsFile} {
			must(t, atomicfile.CopyFile(filepath.Join(f.dir, from), filepath.Join(dir, to)))
		}
		saved, err := model.LoadConfig(dir)
		must(t, err)
		e := f.engine(t, f.params, nil)
		published := f.cfg
		f.cfg = saved
		again := f.engine(t, f.params, nil)
		if !slices.Equal(logits(t, e, f.data.Long), logits(t, again, f.data.Long)) {
			t.Error("the logits differ")
		}
		if !reflect.DeepEqual(saved.Rope, published.Rope) || !reflect.DeepEqual(saved.Windows, published.Windows) {
			t.Errorf("saved %+v %v, published %+v %v", saved.Rope, saved.Windows, published.Rope, published.Windows)
		}
	})
}

func TestRotaryFrequenciesAreThoseOfTransformers(t *testing.T) {
	var want map[string]struct {
		Config      json.RawMessage
		Frequencies []float64
		Long        []float64 `json:"long_frequencies"`
		Scaling     float64
	}
	readJSON(t, filepath.Join("testdata", "rotary.json"), &want)
	if len(want) < 11 {
		t.Fatalf("only %d sizes", len(want))
	}
	for name, w := range want {
		t.Run(name, func(t *testing.T) {
			c, err := model.ParseConfig(w.Config)
			if err != nil {
				t.Fatal(err)
			}
			scale := c.Rope.Attention
			if scale == 0 {
				scale = 1
			}
			closeTo(t, "factor of q and k", []float64{scale}, []float64{w.Scaling}, 1e-12)
			if c.Rope.Type == "longrope" && w.Long == nil || len(w.Frequencies) != c.Rotary()/2 {
				t.Fatal("the fixture lacks frequencies")
			}
			for i, want := range [][]float64{w.Frequencies, w.Long} {
				if want == nil {
					continue
				}
				length := 1 + i*c.Rope.Original
				got := frequencies(t, c, length)
				same := 0
				for i := range got {
					if float64(got[i]) == want[i] {
						same++
					} else if d := math.Abs(float64(got[i])/want[i] - 1); !(d < 3e-7) {
						t.Errorf("length %d, frequency %d is %g, want %g", length, i, got[i], want[i])
					}
				}
				t.Logf("length %d: %d of %d are the same bits", length, same, len(got))
			}
		})
	}
}

// frequencies reads the ones that a device gets.
func frequencies(t *testing.T, c model.Config, length int) []float32 {
	t.Helper()
	none, err := model.NewParams()
	if err != nil {
		t.Fatal(err)
	}
	on, err := model.Upload(newDevice(t), c, none)
	if err != nil {
		t.Fatal(err)
	}
	defer on.Close()
	if _, err := on.SetLength(length); err != nil {
		t.Fatal(err)
	}
	p, err := on.Download("rotary.freq")
	if err != nil {
		t.Fatal(err)
	}
	return p.Data
}

func TestScoresAcrossTheEndOfTheShortContextAreThoseOfAFullPass(t *testing.T) {
	f := load(t, "phi3.5")
	e := f.engine(t, f.params, nil)
	prompt := f.data.Long[:14] // the short frequencies reach to 16 tokens
	continuations := [][]int32{f.data.Long[14:15], f.data.Long[14:22], f.data.Long[14:16], f.data.Long[14:17]}
	got, err := e.Score(t.Context(), prompt, continuations)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range continuations {
		all, err := e.Logits(append(slices.Clone(prompt), c...))
		if err != nil {
			t.Fatal(err)
		}
		want := 0.0
		for j, id := range c {
			row, z := all[len(prompt)-1+j], 0.0
			for _, x := range row {
				z += math.Exp(float64(x))
			}
			want += float64(row[id]) - math.Log(z)
		}
		closeTo(t, "score", got[i:i+1], []float64{want}, 1e-5)
	}
}
