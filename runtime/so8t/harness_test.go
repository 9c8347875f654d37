package so8t

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/cpu"
	"triality/runtime/device/reference"
	"triality/runtime/model"
	"triality/runtime/safetensors"
	"triality/runtime/train"
)

const testVocab = 13

// plainModel is a small random model whose logits are not all alike.
func plainModel(t testing.TB, family string) (model.Config, *model.Params) {
	t.Helper()
	cfg, err := model.NamedShape{Name: "test", Hidden: 16, Layers: 2, Heads: 4, KVHeads: 2, FFN: 24, Positions: 64}.Config(family, testVocab)
	if err != nil {
		t.Fatal(err)
	}
	p, err := model.Init(cfg, 3)
	if err != nil {
		t.Fatal(err)
	}
	for j, n := range p.Names() {
		x, _ := p.Get(n)
		if len(x.Shape) == 1 && n[len(n)-4:] != "bias" {
			continue // a larger norm only makes every logit large
		}
		for i := range x.Data {
			x.Data[i] += 0.05 * float32(math.Sin(float64(i+j)))
		}
	}
	return cfg, p
}

// plainFolder writes that model with a tokenizer file.
func plainFolder(t testing.TB, family string, dtype safetensors.DType) string {
	t.Helper()
	dir := t.TempDir()
	cfg, p := plainModel(t, family)
	if err := cfg.Save(dir); err != nil {
		t.Fatal(err)
	}
	if err := p.Save(dir, dtype); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tokenizer.json", "chat_template.jinja"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("content of "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// loaded is Load for a test.
func loaded(t testing.TB, dir string) *Model {
	t.Helper()
	m, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func readAll(t testing.TB, src model.Source) *model.Params {
	t.Helper()
	p, err := model.ReadAll(src)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// turned is an SO8T model whose gates are not the identity and whose heads are not zero.
func turned(t testing.TB, family string, size float64) *Model {
	t.Helper()
	cfg, p := plainModel(t, family)
	m, err := New(cfg, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	turn(m, size)
	return m
}

func turn(m *Model, size float64) {
	r := rand.New(rand.NewPCG(9, 9))
	for i := range m.Layers {
		for _, g := range []*Gate{&m.Layers[i].Safe, &m.Layers[i].Cmd} {
			for k := range g.Generator {
				g.Generator[k] = float32(size * r.NormFloat64())
			}
			g.Scale = float32(1 + 0.2*r.NormFloat64())
		}
	}
	for _, head := range [][]float32{m.Safety, m.Authority} {
		for i := range head {
			head[i] = float32(r.NormFloat64())
		}
	}
}

var probes = [][]int32{{1, 5, 3, 9, 2, 11, 7}, {4}, {12, 0, 12, 0, 6}}

// taskLogits are the task head's on the probes, in a row.
func taskLogits(t testing.TB, dev device.Device, m *Model, hooks model.Hooks) []float32 {
	t.Helper()
	var all []float32
	err := m.eachLogits(t.Context(), dev, model.Storage{}, hooks, probes, func(_ int, logits [][]float32) error {
		for _, row := range logits {
			all = append(all, row...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// relative is the largest difference over the largest value.
func relative(got, want []float32) float64 {
	d, most := 0.0, 0.0
	for i := range want {
		d, most = max(d, math.Abs(float64(got[i])-float64(want[i]))), max(most, math.Abs(float64(want[i])))
	}
	return d / most
}

func eachDevice(t *testing.T, test func(t *testing.T, dev device.Device)) {
	for name, open := range map[string]func() device.Device{
		"reference": func() device.Device { return reference.New() },
		"cpu":       func() device.Device { return cpu.New(cpu.Options{Threads: 2}) },
	} {
		t.Run(name, func(t *testing.T) {
			dev := open()
			defer dev.Close()
			test(t, dev)
		})
	}
}

// requests are prompts whose first token tells the class: c, then noise, then an answer of two tokens.
func requests(seed uint64, n int) []Example {
	r := rand.New(rand.NewPCG(seed, 4))
	set := make([]Example, n)
	for i := range set {
		class := Class(r.IntN(4))
		ids := []int32{int32(class)}
		for range 1 + r.IntN(4) {
			ids = append(ids, int32(4+r.IntN(6)))
		}
		e := Example{Prompt: len(ids), Class: class}
		e.IDs = append(ids, 10, 11)
		e.Labels = make([]int32, len(e.IDs))
		for k := range e.Labels {
			e.Labels[k] = train.Masked
			if k >= e.Prompt {
				e.Labels[k] = e.IDs[k]
			}
		}
		set[i] = e
	}
	return set
}

// straight is a plain model as an SO8T one with gates at the identity.
func straight(t testing.TB, cfg model.Config, p model.Source) *Model {
	t.Helper()
	m, err := New(cfg, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
