package train

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
	"triality/runtime/device/cpu"
	"triality/runtime/device/reference"
	"triality/runtime/graph"
	"triality/runtime/model"
)

// classSet is examples whose first trained token is one of the classes 3, 4 and 5, or in one of them something else.
func classSet() []Example {
	return []Example{
		{IDs: []int32{1, 2, 3, 9}, Labels: []int32{Masked, Masked, 3, 9}, Weight: 2},
		{IDs: []int32{2, 6, 4}, Labels: []int32{Masked, Masked, 4}, Weight: 0.5},
		{IDs: []int32{7, 8, 5}, Labels: []int32{Masked, Masked, Masked}},
		{IDs: []int32{7, 5, 9}, Labels: []int32{Masked, 5, 9}},
		{IDs: []int32{1, 9, 9}, Labels: []int32{Masked, 9, 9}, Weight: 3},
	}
}

// logits are those of the model for each token of a packed batch, in float64.
func logits(t *testing.T, cfg model.Config, p *model.Params, packed *Packed) [][]float64 {
	t.Helper()
	dev := reference.New()
	defer dev.Close()
	on, err := model.Upload(dev, cfg, p)
	if err != nil {
		t.Fatal(err)
	}
	b := model.NewBuilder(cfg, model.Hooks{})
	in := b.Inputs(packed.T())
	h, err := b.Hidden(in)
	if err != nil {
		t.Fatal(err)
	}
	z, err := b.Logits(h)
	if err != nil {
		t.Fatal(err)
	}
	m, err := graph.Compile(dev, G.Nodes{z})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := on.Bind(m, b); err != nil {
		t.Fatal(err)
	}
	for _, x := range packed.Inputs(in) {
		buf, err := dev.Alloc(m.DType(x.Leaf), x.Leaf.Shape().TotalSize())
		if err != nil {
			t.Fatal(err)
		}
		if err := dev.Upload(buf, x.Values); err != nil {
			t.Fatal(err)
		}
		if err := m.Set(x.Leaf, buf); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.RunAll(); err != nil {
		t.Fatal(err)
	}
	all := make([]float64, packed.T()*cfg.VocabSize)
	if err := dev.Download(all, m.Output(z)); err != nil {
		t.Fatal(err)
	}
	return slices.Collect(slices.Chunk(all, cfg.VocabSize))
}

// byHand is the loss as its definitions have it.
func byHand(packed *Packed, set []Example, z [][]float64, l languageLoss) float64 {
	sum, weights := 0.0, 0.0
	for i, start := range packed.Starts {
		e, first := set[packed.Examples[i]], true
		for k := 1; k < len(e.IDs); k++ {
			if e.Labels[k] < 0 {
				continue
			}
			row := z[start+k-1]
			lse := 0.0
			for _, v := range row {
				lse += math.Exp(v)
			}
			logp := func(id int32) float64 { return row[id] - math.Log(lse) }
			p := math.Exp(logp(e.Labels[k]))
			loss := -math.Pow(1-p, l.gamma) * logp(e.Labels[k])
			if l.smoothing > 0 && first && slices.Contains(l.classes, e.Labels[k]) {
				loss = -(1 - l.smoothing) * logp(e.Labels[k])
				for _, c := range l.classes {
					loss -= l.smoothing / float64(len(l.classes)) * logp(c)
				}
			}
			first = false
			sum, weights = sum+e.weight()*loss, weights+e.weight()
		}
	}
	return sum / weights
}

// The gradient with respect to every weight, adapters and tied head included, against differences of the loss, and the loss
// against its definition, on every device of this machine; the graph is the same one on a card.
func TestLossesAndTheirGradientsAreThoseOfTheirDefinitions(t *testing.T) {
	cfg, p := testModel(t, "qwen2")
	set := classSet()
	packed := pack(set, indices(len(set)))
	w := &Window{Batches: []*Packed{packed}, Trained: packed.Trained, Weight: packed.Weight}
	z := logits(t, cfg, p, packed)
	for _, l := range []languageLoss{{}, {gamma: 2}, {gamma: 0.5}, {smoothing: 0.2, classes: []int32{3, 4, 5}}} {
		want := byHand(packed, set, z, l)
		for name, dev := range map[string]device.Device{"reference": reference.New(), "cpu": cpu.New(cpu.Options{Threads: 2})} {
			t.Run(fmt.Sprintf("gamma %g, smoothing %g on %s", l.gamma, l.smoothing, name), func(t *testing.T) {
				defer dev.Close()
				none, err := model.NewParams()
				if err != nil {
					t.Fatal(err)
				}
				frozen, err := model.Upload(dev, cfg, none)
				if err != nil {
					t.Fatal(err)
				}
				defer frozen.Close()
				task := Task{Weights: wholeModel(p), Build: func(rows int, training bool) (*Program, error) {
					return languageProgram(cfg, nil, frozen, rows, training, l)
				}}
				k, err := newRank(dev, &task, AdamW, RecomputeNone, map[string]int{"reference": 64, "cpu": 32}[name])
				if err != nil {
					t.Fatal(err)
				}
				defer k.close()
				cost := func(training bool) float64 {
					c, err := k.programs.get(packed.T(), training)
					if err == nil {
						err = k.programs.run(c, packed, w, nil)
					}
					sums := map[string]float64{}
					if err == nil {
						err = k.programs.scalars(c, sums)
					}
					if err != nil {
						t.Fatal(err)
					}
					return sums["loss"]
				}
				got := cost(true)
				if d := math.Abs(got - want); d > map[string]float64{"reference": 1e-9, "cpu": 1e-5}[name] {
					t.Fatalf("the loss is %v, by hand %v", got, want)
				}
				if name != "reference" {
					compareGradients(t, cfg, p, task, k, packed, w, l)
					return
				}
				grads := make([][]float64, len(k.slots.list)) // before further runs add theirs
				for i, s := range k.slots.list {
					grads[i] = make([]float64, len(s.Data))
					if err := dev.Download(grads[i], s.grad); err != nil {
						t.Fatal(err)
					}
				}
				for n, s := range k.slots.list {
					grad, value := grads[n], make([]float64, len(s.Data))
					if err := dev.Download(value, s.value); err != nil {
						t.Fatal(err)
					}
					for _, i := range []int{0, len(value) / 3, len(value) - 1} {
						at := func(x float64) float64 {
							old := value[i]
							defer func() { value[i] = old; dev.Upload(s.value, value) }()
							value[i] = x
							if err := dev.Upload(s.value, value); err != nil {
								t.Fatal(err)
							}
							return cost(true)
						}
						const h = 1e-5
						slope := (at(value[i]+h) - at(value[i]-h)) / (2 * h)
						if math.Abs(slope-grad[i]) > 1e-7+1e-5*math.Abs(slope) {
							t.Errorf("%s[%d]: gradient %v, by differences %v", s.Name, i, grad[i], slope)
						}
					}
				}
			})
		}
	}
}

// compareGradients holds the gradients of a rank, which have been computed, to those of the reference device.
func compareGradients(t *testing.T, cfg model.Config, p *model.Params, task Task, k *rank, packed *Packed, w *Window, l languageLoss) {
	t.Helper()
	dev := reference.New()
	defer dev.Close()
	none, err := model.NewParams()
	if err != nil {
		t.Fatal(err)
	}
	frozen, err := model.Upload(dev, cfg, none)
	if err != nil {
		t.Fatal(err)
	}
	defer frozen.Close()
	task.Build = func(rows int, training bool) (*Program, error) {
		return languageProgram(cfg, nil, frozen, rows, training, l)
	}
	r, err := newRank(dev, &task, AdamW, RecomputeNone, 64)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	c, err := r.programs.get(packed.T(), true)
	if err == nil {
		err = r.programs.run(c, packed, w, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range r.slots.list {
		want, got := make([]float64, len(s.Data)), make([]float64, len(s.Data))
		if err := dev.Download(want, s.grad); err != nil {
			t.Fatal(err)
		}
		if err := k.dev.Download(got, k.slots.list[i].grad); err != nil {
			t.Fatal(err)
		}
		for j := range want {
			if math.Abs(got[j]-want[j]) > 1e-5 {
				t.Errorf("%s[%d]: %v, want %v", s.Name, j, got[j], want[j])
				break
			}
		}
	}
}

func TestEvaluationsHaveThePlainLoss(t *testing.T) {
	devices(t, func(t *testing.T, dev device.Device) {
		cfg, p := testModel(t, "qwen2")
		last := func(change func(*Options), weight float64) float64 {
			opt := languageOptions(&testLoRA)
			opt.LearningRate = 0 // nothing is learned
			change(&opt)
			eval := sentences(2, 5)
			for i := range eval {
				eval[i].Weight = weight
			}
			res, err := Run(t.Context(), dev, cfg, p, classSet(), eval, t.TempDir(), opt, nil)
			if err != nil {
				t.Fatal(err)
			}
			v, _ := res.Last("eval_loss")
			return v
		}
		want := last(func(*Options) {}, 0)
		for name, got := range map[string]float64{
			"focal":     last(func(o *Options) { o.FocalGamma = 2 }, 0),
			"smoothing": last(func(o *Options) { o.LabelSmoothing, o.ClassTokens = 0.5, []int32{3, 4, 5} }, 0),
			"weights":   last(func(*Options) {}, 7),
		} {
			if got != want {
				t.Errorf("%s: %v, want %v", name, got, want)
			}
		}
	})
}

func TestLossesThatMeanNothingAreRefused(t *testing.T) {
	for want, o := range map[string]Options{
		"focal_gamma: -1":                   {FocalGamma: -1},
		"label_smoothing: 1":                {LabelSmoothing: 1, ClassTokens: []int32{1, 2}},
		"focal_gamma, label_smoothing: the": {FocalGamma: 1, LabelSmoothing: 0.1, ClassTokens: []int32{1, 2}},
		"begin with the tokens [1 1]":       {LabelSmoothing: 0.1, ClassTokens: []int32{1, 1}},
		"begin with the tokens []":          {LabelSmoothing: 0.1},
	} {
		if err := o.lossFaults(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	// A device that has no form of it is named: what is not there is not computed otherwise.
	bare := struct{ device.Device }{reference.New()}
	if err := (languageLoss{gamma: 2}).check(bare); err == nil || !strings.Contains(err.Error(), "the reference device has no focal loss yet") {
		t.Error(err)
	}
	for _, weight := range []float64{-1, math.NaN(), math.Inf(1)} {
		if err := checkExamples("train", []Example{{IDs: []int32{1}, Labels: []int32{1}, Weight: weight}}, 3, 0); err == nil {
			t.Errorf("a weight of %v is taken", weight)
		}
	}
}

func TestExamplesWithoutWeightsKeepTheirHash(t *testing.T) {
	plain := hashExamples(sentences(1, 3))
	ones, twos := sentences(1, 3), sentences(1, 3)
	ones[1].Weight, twos[1].Weight = 1, 2
	if hashExamples(ones) != plain || hashExamples(twos) == plain {
		t.Error("a weight of 1 changes the hash, or one of 2 does not")
	}
}
