package finetunebench

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestWeightsAreNormalAndTheSameInAnyParts(t *testing.T) {
	cfg, err := Shapes[len(Shapes)-1].config()
	if err != nil {
		t.Fatal(err)
	}
	w, err := newWeights(cfg, 1, 5)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range w.Names() {
		shape, _ := w.Shape(name)
		n := 1
		for _, d := range shape {
			n *= d
		}
		whole, parts := make([]float32, n), make([]float32, n)
		if err := w.ReadAt(name, whole, 0); err != nil {
			t.Fatal(err)
		}
		for from := 0; from < n; from += 7 {
			if err := w.ReadAt(name, parts[from:min(n, from+7)], from); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(whole, parts) {
			t.Errorf("%s differs when it is read in parts", name)
		}
		sum, loudOnes := 0.0, 0
		for _, v := range whole {
			sum += float64(v) * float64(v)
			if v == loud {
				loudOnes++
			}
		}
		switch {
		case strings.HasSuffix(name, "layernorm.weight"):
			if loudOnes != 5 {
				t.Errorf("%s has %d outlier channels", name, loudOnes)
			}
		case len(shape) == 2:
			if d := math.Sqrt(sum/float64(n)) / std; d < 0.9 || d > 1.1 {
				t.Errorf("%s deviates by %g", name, d*std)
			}
		}
	}
	if w.ReadAt("none", make([]float32, 1), 0) == nil {
		t.Error("a weight that is not there was read")
	}
}

func TestOutliersMayBeAllChannels(t *testing.T) {
	cfg, err := Shapes[len(Shapes)-1].config()
	if err != nil {
		t.Fatal(err)
	}
	w, err := newWeights(cfg, 1, cfg.HiddenSize)
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, cfg.HiddenSize)
	if err := w.ReadAt("model.layers.0.input_layernorm.weight", x, 0); err != nil || slices.Min(x) != loud {
		t.Errorf("%v, %v", x, err)
	}
}
