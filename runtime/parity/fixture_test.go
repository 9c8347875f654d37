package parity

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
	"triality/runtime/device/cpu"
	"triality/runtime/device/cuda"
	"triality/runtime/graph"
	"triality/runtime/lora"
	"triality/runtime/model"
	"triality/runtime/safetensors"
	"triality/runtime/train"
)

// families are the folders of testdata, each a tiny model.
var families = []string{
	"llama3", "llama2-linear", "mistral", "qwen2", "qwen2-window", "qwen3", "phi3", "phi3.5", "qwen2-head", "phi4-mini",
	"smollm3", "smollm3-window", "granite", "granite4", "granite4-nope", "ministral", "mistral3", "ministral3",
}

// steps is a training run's history.
type steps struct {
	Loss         []float64 `json:"loss"`
	GradNorm     []float64 `json:"grad_norm"`
	LearningRate []float64 `json:"learning_rate"`
}

// data is data.json.
type data struct {
	Single, Long, Prompt []int32
	Batch                [][]int32
	NewTokens            int `json:"new_tokens"`
	Examples             []struct{ IDs, Labels []int32 }
	Steps                int
	BatchSize            int `json:"batch_size"`
	Accumulate           int
	Training             struct {
		LearningRate float64 `json:"learning_rate"`
		WeightDecay  float64 `json:"weight_decay"`
		WarmupRatio  float64 `json:"warmup_ratio"`
		MaxGradNorm  float64 `json:"max_grad_norm"`
	}
}

func (d data) examples() []train.Example {
	var out []train.Example
	for _, e := range d.Examples {
		out = append(out, train.Example{IDs: e.IDs, Labels: e.Labels})
	}
	return out
}

// fixture is one family's folder.
type fixture struct {
	dir        string
	adapterDir string
	cfg        model.Config
	params     *model.Params
	data       data
	tensors    *safetensors.File
	Loss       float64
	Greedy     []int32
	// GreedyPlain is what generate gives with use_cache=False.
	GreedyPlain     []int32 `json:"greedy_without_cache"`
	AdapterLoss     float64 `json:"adapter_loss"`
	LoraSteps       steps   `json:"lora_steps"`
	WholeModelSteps *steps  `json:"whole_model_steps"`
}

func readJSON(t testing.TB, path string, into any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func load(t testing.TB, family string) *fixture {
	t.Helper()
	f := &fixture{dir: filepath.Join("testdata", family), adapterDir: filepath.Join("testdata", family, "adapter")}
	readJSON(t, filepath.Join("testdata", "data.json"), &f.data)
	readJSON(t, filepath.Join(f.dir, "expected.json"), f)
	var err error
	if f.cfg, err = model.LoadConfig(f.dir); err != nil {
		t.Fatal(err)
	}
	if f.params, err = model.LoadParams(f.dir, f.cfg); err != nil {
		t.Fatal(err)
	}
	if f.tensors, err = safetensors.Open(filepath.Join(f.dir, "expected.safetensors")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.tensors.Close() })
	return f
}

// want is a tensor of expected.safetensors.
func (f *fixture) want(t testing.TB, name string) []float32 {
	t.Helper()
	x, err := f.tensors.Float32(name)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// closeTo holds got to want: the largest difference relative to the largest value.
func closeTo[A, B float32 | float64](t testing.TB, what string, got []A, want []B, tolerance float64) {
	t.Helper()
	if len(got) != len(want) || len(got) == 0 {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	most, off := 0.0, 0.0
	for i := range got {
		most = max(most, math.Abs(float64(want[i])))
		d := math.Abs(float64(got[i]) - float64(want[i]))
		if math.IsNaN(d) {
			d = math.Inf(1)
		}
		off = max(off, d)
	}
	if rel := off / most; !(rel < tolerance) {
		t.Errorf("%s: relative error %.3g, at most %.0g is allowed", what, rel, tolerance)
	} else {
		t.Logf("%s: relative error %.2g", what, rel)
	}
}

func flat(rows [][]float32) (out []float32) {
	for _, r := range rows {
		out = append(out, r...)
	}
	return out
}

// onCUDA holds the first NVIDIA card to the fixtures instead of the processor.
var onCUDA bool

func newDevice(t testing.TB) device.Device {
	t.Helper()
	if onCUDA {
		return openCard(t)
	}
	dev := cpu.New(cpu.Options{Threads: 2})
	t.Cleanup(func() { dev.Close() })
	return dev
}

// openCard opens the first card, or skips where there is none.
func openCard(t testing.TB) device.Device {
	t.Helper()
	dev, err := cuda.Open(cuda.Options{})
	if errors.Is(err, cuda.ErrNoDriver) || errors.Is(err, cuda.ErrNoDevice) {
		t.Skipf("needs an NVIDIA card: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dev.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return dev
}

// pass is a graph over rows, as training packs them, with the adapter where it is not nil.
type pass struct {
	in     model.Inputs
	b      *model.Builder
	hidden *G.Node
	logits *G.Node
}

func build(t testing.TB, cfg model.Config, a *lora.Adapter, rows int) pass {
	t.Helper()
	var hooks model.Hooks
	if a != nil {
		hooks = a.Hooks(hooks, false)
	}
	p := pass{b: model.NewBuilder(cfg, hooks)}
	p.in = p.b.Inputs(rows)
	var err error
	if p.hidden, err = p.b.Hidden(p.in); err != nil {
		t.Fatal(err)
	}
	if p.logits, err = p.b.Logits(p.hidden); err != nil {
		t.Fatal(err)
	}
	return p
}

// rows are the index inputs of sequences laid out in a graph.
type rows struct{ ids, pos, lo, hi []int32 }

// pack lays sequences end to end; pads come before each one, up to width where that is more.
func pack(width int, sequences ...[]int32) (r rows, starts []int) {
	for _, s := range sequences {
		for range width - len(s) {
			r.put(0, 0, int32(len(r.ids)), int32(len(r.ids)))
		}
		starts = append(starts, len(r.ids))
		for i, id := range s {
			start := starts[len(starts)-1]
			r.put(id, int32(i), int32(start), int32(start+i+1))
		}
	}
	return r, starts
}

func (r *rows) put(id, pos, lo, hi int32) {
	r.ids, r.pos, r.lo, r.hi = append(r.ids, id), append(r.pos, pos), append(r.lo, lo), append(r.hi, hi)
}

// run computes nodes of a pass.
func (f *fixture) run(t testing.TB, p pass, a *lora.Adapter, r rows, more map[string]any, nodes ...*G.Node) [][]float32 {
	t.Helper()
	dev := newDevice(t)
	on, err := model.Upload(dev, f.cfg, f.params)
	if err != nil {
		t.Fatal(err)
	}
	defer on.Close()
	if a != nil {
		if err := a.Put(on); err != nil {
			t.Fatal(err)
		}
	}
	longest := int32(0)
	for _, at := range r.pos {
		longest = max(longest, at+1)
	}
	if _, err := on.SetLength(int(longest)); err != nil {
		t.Fatal(err)
	}
	m, err := graph.Compile(dev, nodes)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := on.Bind(m, p.b); err != nil {
		t.Fatal(err)
	}
	values := map[string]any{"input.ids": r.ids, "input.pos": r.pos, "input.lo": r.lo, "input.hi": r.hi}
	for k, v := range more {
		values[k] = v
	}
	for name, v := range values {
		leaf := p.b.Leaves()[name]
		kind := device.Float
		if _, ok := v.([]int32); ok {
			kind = device.Int32
		}
		buf, err := dev.Alloc(kind, leaf.Shape().TotalSize())
		if err == nil {
			err = dev.Upload(buf, v)
		}
		if err == nil {
			err = m.Set(leaf, buf)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := m.RunAll(); err != nil {
		t.Fatal(err)
	}
	var out [][]float32
	for _, n := range nodes {
		x := make([]float32, n.Shape().TotalSize())
		if err := dev.Download(x, m.Output(n)); err != nil {
			t.Fatal(err)
		}
		out = append(out, x)
	}
	return out
}
