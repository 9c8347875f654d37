package parity

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/runtime/device/reference"
	"triality/runtime/lora"
	"triality/runtime/model"
	"triality/runtime/safetensors"
)

// TestAdaptersOfOtherConfigurationsAreThoseOfPeft holds what VARIANTS of make_fixtures.py lists: targets by
// regular expression, exclusions, ranks and alphas of their own, layers, adapters on embedding and head, and
// weights trained outright.
func TestAdaptersOfOtherConfigurationsAreThoseOfPeft(t *testing.T) {
	folders, err := os.ReadDir(filepath.Join("testdata", "variants"))
	if err != nil || len(folders) == 0 {
		t.Fatalf("%d folders, %v; python make_fixtures.py testdata makes them, with peft", len(folders), err)
	}
	for _, folder := range folders {
		t.Run(folder.Name(), func(t *testing.T) {
			dir := filepath.Join("testdata", "variants", folder.Name())
			var expected struct {
				Base      string
				LoraSteps steps `json:"lora_steps"`
			}
			readJSON(t, filepath.Join(dir, "expected.json"), &expected)
			f := load(t, expected.Base)
			if f.tensors, err = safetensors.Open(filepath.Join(dir, "expected.safetensors")); err != nil {
				t.Fatal(err)
			}
			defer f.tensors.Close()
			a, err := lora.Read(dir, f.cfg)
			if err != nil {
				t.Fatal(err)
			}
			sameFile(t, a, dir)
			whole, base := a.Model(f.cfg, f.params)
			if f.params, err = model.ReadAll(base); err != nil {
				t.Fatal(err)
			}
			f.cfg = whole
			closeTo(t, "adapter", logits(t, f.engine(t, f.params, a), f.data.Single), f.want(t, "adapter"), 1e-5)
			if slices.Contains(f.tensors.Names(), "merged") {
				folded, err := a.Merge(reference.New(), f.params)
				if err != nil {
					t.Fatal(err)
				}
				merged, err := model.ReadAll(folded)
				if err != nil {
					t.Fatal(err)
				}
				closeTo(t, "merged", logits(t, f.engine(t, merged, nil), f.data.Single), f.want(t, "merged"), 1e-5)
			}
			_, grads := f.gradients(t, a)
			compared := 0
			for _, x := range a.Tensors() {
				got, name := grads[x.Name], x.Name
				switch {
				case x.Saved:
					name = "base_model.model." + name
				case strings.Contains(name, ".lora_embedding_"):
					got = transposed(got, x.Shape[1])
				}
				closeTo(t, name, got, f.want(t, "grad."+name), 1e-4)
				compared++
			}
			if want := len(f.tensors.Names()) - compared; want != 1 && want != 2 { // adapter, merged
				t.Errorf("the fixture has %d tensors, %d gradients are compared", len(f.tensors.Names()), compared)
			}
			compareSteps(t, f.train(t, a).Result, expected.LoraSteps)
		})
	}
}

// sameFile holds what is written of an adapter to the file it was read from.
func sameFile(t *testing.T, a *lora.Adapter, theirs string) {
	t.Helper()
	ours := t.TempDir()
	if err := a.Write(ours); err != nil {
		t.Fatal(err)
	}
	x, err := safetensors.Open(filepath.Join(ours, lora.WeightsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	y, err := safetensors.Open(filepath.Join(theirs, lora.WeightsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer y.Close()
	p, q := x.Names(), y.Names()
	slices.Sort(p)
	if slices.Sort(q); !slices.Equal(p, q) {
		t.Fatalf("we write %v, peft %v", p, q)
	}
	for _, n := range p {
		i, _ := x.Info(n)
		j, _ := y.Info(n)
		v, _ := x.Float32(n)
		w, _ := y.Float32(n)
		if !slices.Equal(i.Shape, j.Shape) || !slices.Equal(v, w) {
			t.Errorf("%s differs", n)
		}
	}
}

// transposed is the transpose of a matrix of so many columns.
func transposed(x []float32, columns int) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i%columns*(len(x)/columns)+i/columns] = v
	}
	return out
}
