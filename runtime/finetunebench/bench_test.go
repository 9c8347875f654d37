package finetunebench

import (
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/cpu"
	"triality/runtime/model"
	"triality/runtime/train"
)

func TestASmallShapeLearnsItsSequencesInEightBitsAsInFull(t *testing.T) {
	dev := cpu.New(cpu.Options{})
	defer dev.Close()
	o := Options{
		Shape: Shapes[len(Shapes)-1], R: 8, Sequence: 64, MicroBatch: 1, Accumulation: 2, Steps: 12, LearningRate: 5e-3, Seed: 1,
		Optimizer: train.AdamW8bit, Recompute: train.RecomputeLayer,
	}
	var last [3]float64
	for i, st := range []model.Storage{{}, {Int8: true, Threshold: 6}, {FP8: true}} {
		o.Storage = st
		r, err := Run(t.Context(), dev, o)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Losses) != o.Steps || r.TokensPerSecond <= 0 || r.FirstStep <= 0 || r.PlannedMemory <= 0 || r.Parameters == 0 || r.Trained == 0 {
			t.Fatalf("%+v", r)
		}
		last[i] = r.Losses[o.Steps-1]
		if last[i] > r.Losses[0]-0.3 {
			t.Errorf("in %q the loss goes from %g to %g", st.Format(), r.Losses[0], last[i])
		}
	}
	for _, in8 := range last[1:] {
		if d := last[0] - in8; d*d > 0.01*last[0]*last[0] {
			t.Errorf("the last losses are %g in full, %g in int8 and %g in fp8", last[0], last[1], last[2])
		}
	}
}

func TestEveryShapeIsAModelOfItsSize(t *testing.T) {
	for name, want := range map[string]int{"qwen2.5-7b": 7_615_616_512, "qwen2.5-1.5b": 1_543_714_304, "qwen2.5-0.5b": 494_032_768} {
		for _, s := range Shapes {
			if s.Name != name {
				continue
			}
			cfg, err := s.config()
			if err != nil {
				t.Fatal(err)
			}
			w, err := model.NewFresh(cfg, 1)
			if err != nil || model.Elements(w) != want {
				t.Errorf("%s has %d parameters, want %d (%v)", name, model.Elements(w), want, err)
			}
		}
	}
}

func TestAShapeThatDoesNotFitSaysSo(t *testing.T) {
	dev := cpu.New(cpu.Options{})
	defer dev.Close()
	_, err := Run(t.Context(), dev, Options{Shape: Shapes[len(Shapes)-1], R: 8, Sequence: 64, MicroBatch: 1, Accumulation: 1, Steps: 1,
		LearningRate: 1, Storage: model.Storage{Matrices: device.BFloat16}})
	if err == nil {
		t.Error("the cpu took bfloat16")
	}
}
