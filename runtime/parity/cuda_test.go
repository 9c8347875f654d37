package parity

import (
	"testing"

	"triality/runtime/device"
	"triality/runtime/generate"
	"triality/runtime/model"
)

func TestLogitsOnCUDAInNarrowStorageAreTransformersWithinItsRounding(t *testing.T) {
	for _, c := range []struct {
		name      string
		storage   model.Storage
		tolerance float64
	}{
		{"bfloat16", model.Storage{Matrices: device.BFloat16}, 2e-2},
		{"float16", model.Storage{Matrices: device.Float16}, 3e-3},
		{"float32", model.Storage{}, 1e-5},
		{"int8 and bfloat16", model.Storage{Matrices: device.BFloat16, Int8: true, Threshold: 6}, 5e-2},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachFamily(t, func(t *testing.T, f *fixture) {
				dev := openCard(t)
				on, err := model.UploadAs(dev, f.cfg, f.params, c.storage)
				if err != nil {
					t.Fatal(err)
				}
				defer on.Close()
				e, err := generate.New(dev, f.cfg, on, model.Hooks{})
				if err != nil {
					t.Fatal(err)
				}
				defer e.Close()
				closeTo(t, "single", logits(t, e, f.data.Single), f.want(t, "single"), c.tolerance)
				closeTo(t, "long", logits(t, e, f.data.Long), f.want(t, "long"), c.tolerance)
				for i, ids := range f.data.Batch {
					closeTo(t, "left-padded batch", logits(t, e, ids), f.want(t, "batch."+string(rune('0'+i))), c.tolerance)
				}
			})
		})
	}
}

func TestOnCUDAEverythingIsAsOnTheProcessor(t *testing.T) {
	openCard(t)
	onCUDA = true
	defer func() { onCUDA = false }()
	for name, test := range map[string]func(*testing.T){
		"logits": TestLogitsAreThoseOfTransformers, "loss": TestTheLossIsThatOfTransformers,
		"padded and packed": TestPaddedAndPackedSequencesGiveTheLogitsOfSingleOnes, "greedy tokens": TestGreedyTokensAreThoseOfTransformers,
		"adapters": TestAnAdapterByPeftGivesItsLogits, "gradients": TestLoRAGradientsAreThoseOfPeft, "training of an adapter": TestTwentyStepsOfAnAdapterAreThoseOfPeft, "training": TestTwentyStepsOfTheWholeModelAreThoseOfTransformers,
	} {
		t.Run(name, test)
	}
}
