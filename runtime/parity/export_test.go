package parity

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"triality/runtime/device/reference"
	"triality/runtime/generate"
	"triality/runtime/model"
	"triality/runtime/safetensors"
	"triality/runtime/so8t"
)

// exportVariable names the folder that TestWhatPythonIsToRead fills.
const exportVariable = "TRIALITY_PARITY_OUT"

// TestWhatPythonIsToRead writes adapters, merged, SO8T and burned-in models with the logits that this
// engine gives for them. check_outputs.py reads them with peft and transformers and compares.
func TestWhatPythonIsToRead(t *testing.T) {
	out := os.Getenv(exportVariable)
	if out == "" {
		t.Skipf("writes files for check_outputs.py: name a new folder in %s", exportVariable)
	}
	eachAdapter(t, func(t *testing.T, f *fixture) {
		dir := filepath.Join(out, filepath.Base(f.dir))
		if f.adapterDir != filepath.Join(f.dir, "adapter") {
			dir += "-" + filepath.Base(f.adapterDir)
		}
		var tensors []safetensors.Tensor
		keep := func(name string, x []float32, columns int) {
			tensors = append(tensors, safetensors.Tensor{Name: name, DType: safetensors.F32, Shape: []int{len(x) / columns, columns}, Float32: x})
		}
		logitsOf := func(name string, e *generate.Engine) {
			keep(name+".single", logits(t, e, f.data.Single), f.cfg.VocabSize)
			keep(name+".long", logits(t, e, f.data.Long), f.cfg.VocabSize)
		}

		a := f.train(t, f.adapter(t)).Adapter
		a.BaseModel = "base"
		must(t, os.MkdirAll(filepath.Join(dir, "adapter"), 0o755))
		must(t, a.Write(filepath.Join(dir, "adapter")))
		f.save(t, filepath.Join(dir, "base"), f.params, safetensors.F32)
		logitsOf("adapter", f.engine(t, f.params, a))

		folded, err := a.Merge(reference.New(), f.params)
		must(t, err)
		merged, err := model.ReadAll(folded)
		must(t, err)
		for name, dtype := range map[string]safetensors.DType{"merged": safetensors.F32, "merged_bf16": safetensors.BF16, "merged_f16": safetensors.F16} {
			f.save(t, filepath.Join(dir, name), merged, dtype)
			logitsOf(name, f.read(t, filepath.Join(dir, name)))
		}
		f.exportSO8T(t, dir, logitsOf, keep)
		must(t, safetensors.Write(filepath.Join(dir, "expected.safetensors"), tensors, nil))
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) save(t *testing.T, dir string, p *model.Params, dtype safetensors.DType) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	must(t, f.cfg.Save(dir))
	must(t, p.Save(dir, dtype))
}

// exportSO8T replaces the base model, turns its gates, and burns them in again.
func (f *fixture) exportSO8T(t *testing.T, dir string, logitsOf func(string, *generate.Engine), keep func(string, []float32, int)) {
	t.Helper()
	dev := newDevice(t)
	path, burned := filepath.Join(dir, "so8t"), filepath.Join(dir, "burned")
	_, err := so8t.Replace(t.Context(), dev, filepath.Join(dir, "base"), path, so8t.DefaultConfig(), [][]int32{f.data.Single}, nil)
	must(t, err)
	m, err := so8t.Load(path)
	must(t, err)
	defer m.Close()
	for i := range m.Layers {
		for k, g := range []*so8t.Gate{&m.Layers[i].Safe, &m.Layers[i].Cmd} {
			for j := range g.Generator {
				g.Generator[j] = float32(0.4 * math.Sin(float64(1+j+7*i+3*k)))
			}
			g.Scale = 1 + 0.1*float32(i-k)
		}
	}
	for i := range m.Safety {
		m.Safety[i], m.Authority[i] = float32(math.Sin(float64(2*i))), float32(math.Cos(float64(3*i)))
	}
	must(t, m.SaveWeights(t.Context(), path))
	must(t, so8t.BurnIn(t.Context(), path, burned, ""))

	on, err := m.Upload(dev, model.Storage{})
	must(t, err)
	defer on.Close()
	e, err := generate.New(dev, f.cfg, on, so8t.Hooks())
	must(t, err)
	defer e.Close()
	logitsOf("so8t", e)
	c := so8t.NewClassifier(dev, f.cfg, on)
	defer c.Close()
	for name, ids := range map[string][]int32{"single": f.data.Single, "long": f.data.Long} {
		v, err := c.Classify(t.Context(), ids)
		must(t, err)
		var p []float32
		for _, x := range v.Classes {
			p = append(p, float32(x))
		}
		keep("so8t.classes."+name, p, 4)
	}
	logitsOf("burned", f.read(t, burned))
}

// read is the engine over a folder that was written.
func (f *fixture) read(t *testing.T, dir string) *generate.Engine {
	t.Helper()
	cfg, err := model.LoadConfig(dir)
	must(t, err)
	p, err := model.LoadParams(dir, cfg)
	must(t, err)
	g := *f
	g.cfg = cfg
	return g.engine(t, p, nil)
}
