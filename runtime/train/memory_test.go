package train

import (
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/paper"
	"triality/runtime/device/reference"
	"triality/runtime/lora"
	"triality/runtime/model"
)

// sevenB is the shape of Qwen2.5-7B.
var sevenB = model.Config{
	ModelType: "qwen2", VocabSize: 152064, HiddenSize: 3584, IntermediateSize: 18944, Layers: 28, Heads: 28, KVHeads: 4,
	HeadDim: 128, MaxPositions: 32768, RMSNormEps: 1e-6, RopeTheta: 1e6, QKVBias: true, BOS: -1,
}

// planned compiles the training graph of an adapter on a frozen model, without running it.
func planned(t *testing.T, cfg model.Config, c lora.Config, st model.Storage, rows int, recompute string) *compiled {
	t.Helper()
	c.TargetModules = []string{lora.AllLinear}
	adapter, err := lora.Empty(c, cfg)
	if err != nil {
		t.Fatal(err)
	}
	on := paper.New(reference.New())
	frozen, err := model.Reserve(on, cfg, noWeights{}, st)
	if err != nil {
		t.Fatal(err)
	}
	var weights []Weight
	for _, w := range adapter.Tensors() {
		weights = append(weights, Weight{Name: w.Name, Shape: w.Shape})
	}
	slots, err := newSlots(on, weights, st.Matrices, newMoments(on, "", 32))
	if err != nil {
		t.Fatal(err)
	}
	task := &Task{Storage: st.Matrices, Build: func(rows int, training bool) (*Program, error) {
		return languageProgram(cfg, adapter, frozen, rows, training, languageLoss{})
	}}
	ps := newPrograms(on, task, slots.list, recompute)
	got, err := ps.compile(rows, true)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestASevenBModelsActivationsFitBesideItsWeights(t *testing.T) {
	const T, gib = 2048, 1 << 30
	st := model.Storage{Matrices: device.BFloat16, Int8: true, Threshold: 6}
	for name, c := range map[string]struct {
		lora lora.Config
		most map[string]float64 // GiB
	}{
		"lora": {
			lora.Config{R: 16, Alpha: 32},
			map[string]float64{RecomputeNone: 8.7, RecomputeSelective: 6, RecomputeLayer: 0.8},
		},
		"dora with dropout": {
			lora.Config{R: 16, Alpha: 32, Dropout: 0.05, DoRA: true},
			map[string]float64{RecomputeLayer: 1.3},
		},
	} {
		for again, most := range c.most {
			m := planned(t, sevenB, c.lora, st, T, again).machine
			got := float64(m.ArenaBytes()) / gib
			t.Logf("%s, %s: %.2f GiB, %d launches", name, again, got, m.Steps())
			if got > most {
				t.Errorf("%s, %s: %.2f GiB of activations, want at most %g", name, again, got, most)
			}
		}
	}
}

func TestWithRecomputationALayerCostsItsOutputAlone(t *testing.T) {
	const T = 2048
	bytes := func(layers int, again string) int64 {
		cfg := sevenB
		cfg.Layers = layers
		c := lora.Config{R: 16, Alpha: 32, Dropout: 0.05}
		return planned(t, cfg, c, model.Storage{Matrices: device.BFloat16}, T, again).machine.ArenaBytes()
	}
	if got, want := bytes(8, RecomputeLayer)-bytes(4, RecomputeLayer), int64(4*T*sevenB.HiddenSize*2); got != want {
		t.Errorf("four layers more cost %d bytes, their outputs have %d", got, want)
	}
	none, selective, layer := bytes(8, RecomputeNone), bytes(8, RecomputeSelective), bytes(8, RecomputeLayer)
	if !(none > selective && selective > 2*layer) {
		t.Errorf("%d bytes without recomputation, %d selective, %d by layers", none, selective, layer)
	}
}

func TestASevenBModelTrainsAnAdapterInTwelveGiB(t *testing.T) {
	const gib = 1 << 30
	var base int64 // int8 codes with a Float scale for each row, embedding and head in bfloat16, vectors Float
	linear := map[string]bool{}
	for _, l := range sevenB.Linears() {
		linear[l.Name+".weight"] = true
	}
	for _, s := range sevenB.Specs() {
		n := int64(1)
		for _, d := range s.Shape {
			n *= int64(d)
		}
		switch {
		case linear[s.Name]:
			base += n + 4*int64(s.Shape[0])
		case len(s.Shape) == 2:
			base += 2 * n
		default:
			base += 4 * n
		}
	}
	c := lora.Config{R: 16, Alpha: 32, Dropout: 0.05}
	p := planned(t, sevenB, c, model.Storage{Matrices: device.BFloat16, Int8: true, Threshold: 6}, 2048, RecomputeLayer)
	var trained int64
	for _, l := range sevenB.Linears() {
		trained += int64(c.R) * int64(l.Shape[0]+l.Shape[1])
	}
	// Value, gradient and two moments in Float, and the narrow value.
	states := 18 * trained
	total := base + states + p.machine.ArenaBytes()
	t.Logf("base %.2f, adapter of %d numbers with gradients and moments %.2f, activations %.2f: %.2f GiB", float64(base)/gib, trained,
		float64(states)/gib, float64(p.machine.ArenaBytes())/gib, float64(total)/gib)
	if total > 12*gib {
		t.Errorf("%d bytes", total)
	}
}
