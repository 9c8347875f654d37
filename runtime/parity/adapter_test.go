package parity

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
	"triality/runtime/device/reference"
	"triality/runtime/graph"
	"triality/runtime/lora"
	"triality/runtime/model"
	"triality/runtime/safetensors"
)

// adapter is the one that peft saved.
func (f *fixture) adapter(t testing.TB) *lora.Adapter {
	t.Helper()
	a, err := lora.Read(f.adapterDir, f.cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// eachAdapter tests each family's adapter, and the one by DoRA.
func eachAdapter(t *testing.T, test func(t *testing.T, f *fixture)) {
	eachFamily(t, test)
	t.Run("dora", func(t *testing.T) {
		f := load(t, "qwen2")
		f.adapterDir = filepath.Join(f.dir, "dora")
		var err error
		if f.tensors, err = safetensors.Open(filepath.Join(f.adapterDir, "expected.safetensors")); err != nil {
			t.Fatal(err)
		}
		defer f.tensors.Close()
		f.LoraSteps, f.AdapterLoss = steps{}, 0
		readJSON(t, filepath.Join(f.adapterDir, "expected.json"), &f.LoraSteps)
		if !f.adapter(t).DoRA {
			t.Fatal("the adapter is not by DoRA")
		}
		test(t, f)
	})
}

func TestAnAdapterByPeftGivesItsLogits(t *testing.T) {
	eachAdapter(t, func(t *testing.T, f *fixture) {
		a := f.adapter(t)
		got := logits(t, f.engine(t, f.params, a), f.data.Single)
		closeTo(t, "adapter", got, f.want(t, "adapter"), 1e-5)
		if slices.Equal(got, logits(t, f.engine(t, f.params, nil), f.data.Single)) {
			t.Error("the adapter has no effect")
		}
		folded, err := a.Merge(reference.New(), f.params)
		if err != nil {
			t.Fatal(err)
		}
		merged, err := model.ReadAll(folded)
		if err != nil {
			t.Fatal(err)
		}
		closeTo(t, "merged", logits(t, f.engine(t, merged, nil), f.data.Single), f.want(t, "merged"), 1e-5)
	})
}

// gradients are the loss of four examples, packed here and padded there, and those of the adapter's
// weights; the loss is the mean over the trained tokens.
func (f *fixture) gradients(t *testing.T, a *lora.Adapter) (loss []float32, grads map[string][]float32) {
	t.Helper()
	var sequences [][]int32
	var labels []int32
	trained := 0
	for _, e := range f.data.Examples[:4] {
		sequences = append(sequences, e.IDs)
		labels = append(append(labels, e.Labels[1:]...), -100)
	}
	for _, l := range labels {
		if l >= 0 {
			trained++
		}
	}
	shares := make([]float32, len(labels))
	for i, l := range labels {
		if l >= 0 {
			shares[i] = 1 / float32(trained)
		}
	}
	r, _ := pack(0, sequences...)
	p := build(t, f.cfg, a, len(r.ids))
	nll, err := p.b.NLL(p.hidden, p.b.Leaf("labels", device.Int32, len(labels)))
	if err != nil {
		t.Fatal(err)
	}
	cost, err := graph.Dot(p.b.Leaf("shares", device.Float, len(labels)), nll)
	if err != nil {
		t.Fatal(err)
	}
	var leaves G.Nodes
	for _, w := range a.Tensors() {
		leaves = append(leaves, p.b.Leaves()[w.Name])
	}
	nodes, err := graph.Grad(cost, leaves...)
	if err != nil {
		t.Fatal(err)
	}
	got := f.run(t, p, a, r, map[string]any{"labels": labels, "shares": shares}, append(G.Nodes{cost}, nodes...)...)
	grads = map[string][]float32{}
	for i, w := range a.Tensors() {
		grads[w.Name] = got[1+i]
	}
	return got[0], grads
}

func TestLoRAGradientsAreThoseOfPeft(t *testing.T) {
	eachAdapter(t, func(t *testing.T, f *fixture) {
		a := f.adapter(t)
		loss, grads := f.gradients(t, a)
		if !a.DoRA { // whose fixture has no loss
			closeTo(t, "loss", loss, []float64{f.AdapterLoss}, 1e-5)
		}
		var names []string
		for n, got := range grads {
			names = append(names, n)
			closeTo(t, n, got, f.want(t, "grad."+inPeft(n)), 1e-4)
		}
		if have := len(f.tensors.Names()); have < len(names) {
			t.Errorf("only %d tensors in the fixture", have)
		}
		for _, n := range f.tensors.Names() {
			if len(n) > 5 && n[:5] == "grad." && !slices.ContainsFunc(names, func(ours string) bool { return inPeft(ours) == n[5:] }) {
				t.Errorf("peft trains %s, this engine does not", n[5:])
			}
		}
	})
}

// inPeft is a weight's name among a peft model's parameters, where it is not that of the file.
func inPeft(name string) string {
	if strings.HasSuffix(name, ".lora_magnitude_vector") {
		return name + ".weight"
	}
	return name
}

func TestAnAdapterIsWrittenAsPeftWritesIt(t *testing.T) {
	eachAdapter(t, func(t *testing.T, f *fixture) {
		theirs, ours := f.adapterDir, t.TempDir()
		if err := f.adapter(t).Write(ours); err != nil {
			t.Fatal(err)
		}
		for _, dir := range []string{ours, theirs} {
			w, err := safetensors.Open(filepath.Join(dir, lora.WeightsFile))
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			if dir == theirs {
				continue
			}
			x, err := safetensors.Open(filepath.Join(theirs, lora.WeightsFile))
			if err != nil {
				t.Fatal(err)
			}
			defer x.Close()
			a, b := w.Names(), x.Names()
			if slices.Sort(a); !slices.Equal(a, slices.Sorted(slices.Values(b))) || !reflect.DeepEqual(w.Metadata(), x.Metadata()) {
				t.Fatalf("we write %v %v, peft %v %v", a, w.Metadata(), b, x.Metadata())
			}
			for _, n := range a {
				i, _ := w.Info(n)
				j, _ := x.Info(n)
				p, _ := w.Float32(n)
				q, _ := x.Float32(n)
				if i.DType != j.DType || !slices.Equal(i.Shape, j.Shape) || !slices.Equal(p, q) {
					t.Errorf("%s differs", n)
				}
			}
		}
		var a, b map[string]any
		readJSON(t, filepath.Join(ours, lora.ConfigFile), &a)
		readJSON(t, filepath.Join(theirs, lora.ConfigFile), &b)
		for k, v := range a {
			// A list stands for a set; the version is that of the field set we write.
			if k == "target_modules" {
				v, b[k] = sorted(v), sorted(b[k])
			}
			if w, ok := b[k]; k != "peft_version" && (!ok || !reflect.DeepEqual(v, w)) {
				t.Errorf("adapter_config.json: %s is %v, peft writes %v", k, v, b[k])
			}
		}
		for k, v := range b { // what we leave out must be what peft takes where it is absent
			if _, ok := a[k]; !ok && v != nil && v != false && k != "megatron_core" && k != "qalora_group_size" {
				t.Errorf("adapter_config.json: peft writes %s: %v, we do not", k, v)
			}
		}
	})
}

func sorted(list any) []string {
	raw, _ := json.Marshal(list)
	var out []string
	_ = json.Unmarshal(raw, &out)
	slices.Sort(out)
	return out
}
