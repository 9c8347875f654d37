package lora

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
	"triality/runtime/device/reference"
	"triality/runtime/graph"
	"triality/runtime/model"
)

func smallModel(t *testing.T, family string) (model.Config, *model.Params) {
	t.Helper()
	cfg, err := model.NamedShape{Name: "test", Hidden: 16, Layers: 2, Heads: 4, KVHeads: 2, FFN: 24, Positions: 64}.Config(family, 19)
	if err != nil {
		t.Fatal(err)
	}
	p, err := model.Init(cfg, 3)
	if err != nil {
		t.Fatal(err)
	}
	// Larger than the usual 0.02, so that a mistake shows in the output.
	for _, n := range p.Names() {
		if x, _ := p.Get(n); len(x.Shape) == 2 {
			for i := range x.Data {
				x.Data[i] *= 20
			}
		} else if strings.HasSuffix(n, ".bias") { // new ones are 0
			for i := range x.Data {
				x.Data[i] = float32(math.Sin(float64(i)))
			}
		}
	}
	return cfg, p
}

// trained is an adapter whose B is not zero any more.
func trained(t *testing.T, c Config, cfg model.Config) *Adapter {
	t.Helper()
	a, err := New(c, cfg, 11)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, m := range a.Modules {
		for i := range m.B {
			m.B[i] = float32(0.2 * r.NormFloat64())
		}
	}
	return a
}

func logits(t *testing.T, cfg model.Config, p model.Source, a *Adapter) []float64 {
	t.Helper()
	return logitsIn(t, cfg, p, a, false)
}

func logitsInTraining(t *testing.T, cfg model.Config, p model.Source, a *Adapter) []float64 {
	t.Helper()
	return logitsIn(t, cfg, p, a, true)
}

// logitsIn is the logits of a few tokens.
func logitsIn(t *testing.T, cfg model.Config, p model.Source, a *Adapter, training bool) []float64 {
	t.Helper()
	dev := reference.New()
	defer dev.Close()
	if a != nil {
		cfg, p = a.Model(cfg, p)
	}
	d, err := model.Upload(dev, cfg, p)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var hooks model.Hooks
	if a != nil {
		hooks = a.Hooks(hooks, training)
		if err := a.Put(d); err != nil {
			t.Fatal(err)
		}
	}
	const T = 6
	b := model.NewBuilder(cfg, hooks)
	in := b.Inputs(T)
	h, err := b.Hidden(in)
	if err != nil {
		t.Fatal(err)
	}
	if h, err = b.Logits(h); err != nil {
		t.Fatal(err)
	}
	m, err := graph.Compile(dev, G.Nodes{h})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := d.Bind(m, b); err != nil {
		t.Fatal(err)
	}
	leaves := map[*G.Node][]int32{in.IDs: {3, 1, 4, 1, 5, 9}, in.Pos: {0, 1, 2, 3, 4, 5}, in.Lo: make([]int32, T), in.Hi: {1, 2, 3, 4, 5, 6}}
	if key := b.Leaves()[DropoutKey]; key != nil {
		leaves[key] = []int32{5, 6}
	}
	for leaf, v := range leaves {
		buf, err := dev.Alloc(device.Int32, len(v))
		if err != nil {
			t.Fatal(err)
		}
		if err := dev.Upload(buf, v); err != nil {
			t.Fatal(err)
		}
		if err := m.Set(leaf, buf); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.RunAll(); err != nil {
		t.Fatal(err)
	}
	out := make([]float64, T*cfg.VocabSize)
	if err := dev.Download(out, m.Output(h)); err != nil {
		t.Fatal(err)
	}
	return out
}

// distance is the largest difference, relative to the largest value.
func distance(a, b []float64) float64 {
	d, most := 0.0, 0.0
	for i := range a {
		d, most = math.Max(d, math.Abs(a[i]-b[i])), math.Max(most, math.Abs(a[i]))
	}
	return d / most
}

func TestAFreshAdapterChangesNothing(t *testing.T) {
	cfg, p := smallModel(t, "qwen2")
	a, err := New(Config{R: 4, Alpha: 8, TargetModules: []string{AllLinear}}, cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Modules) != 14 {
		t.Errorf("%d modules", len(a.Modules))
	}
	if d := distance(logits(t, cfg, p, nil), logits(t, cfg, p, a)); d != 0 {
		t.Errorf("off by %g", d)
	}
}

func TestAFreshAdapterOfTheEndsChangesNothing(t *testing.T) {
	for _, c := range []Config{
		{R: 4, Alpha: 8, TargetModules: []string{"embed_tokens", "lm_head"}},
		{R: 4, Alpha: 8, TargetModules: []string{"q_proj"}, SaveModules: []string{"embed_tokens", "lm_head"}},
	} {
		cfg, p := smallModel(t, "llama") // tied
		a, err := New(c, cfg, 1)
		if err != nil {
			t.Fatal(err)
		}
		_, base := a.Model(cfg, p)
		if err := a.Begin(reference.New(), base); err != nil {
			t.Fatal(err)
		}
		if d := distance(logits(t, cfg, p, nil), logits(t, cfg, p, a)); d > 1e-12 {
			t.Errorf("%+v: off by %g", c, d)
		}
	}
}

func TestAIsKaimingUniform(t *testing.T) {
	a := make([]float32, 40000)
	kaimingUniform(a, 16, 1, "x")
	sum, squares, most := 0.0, 0.0, 0.0
	for _, v := range a {
		sum += float64(v)
		squares += float64(v) * float64(v)
		most = max(most, math.Abs(float64(v)))
	}
	n := float64(len(a))
	if most > 0.25 || most < 0.249 || math.Abs(sum/n) > 0.004 || math.Abs(squares/n-0.0625/3) > 5e-4 {
		t.Errorf("bound %g, mean %g, variance %g", most, sum/n, squares/n)
	}
	b := make([]float32, len(a))
	kaimingUniform(b, 16, 1, "y")
	if reflect.DeepEqual(a, b) {
		t.Error("two modules draw the same values")
	}
}

func TestTheMergedModelEqualsTheAdapterApplied(t *testing.T) {
	for name, c := range map[string]Config{
		"every linear module":           {R: 4, Alpha: 8, Dropout: 0.5, TargetModules: []string{AllLinear}},
		"rank-stabilised":               {R: 3, Alpha: 6, RSLoRA: true, TargetModules: []string{"o_proj", "down_proj"}},
		"DoRA":                          {R: 4, Alpha: 8, DoRA: true, TargetModules: []string{AllLinear}},
		"the head":                      {R: 4, Alpha: 8, TargetModules: []string{"lm_head"}},
		"the embedding":                 {R: 4, Alpha: 8, TargetModules: []string{"embed_tokens"}},
		"both, and layers":              {R: 4, Alpha: 8, RSLoRA: true, TargetPattern: "lm_head|model.embed_tokens|.*o_proj"},
		"weights trained outright":      {R: 4, Alpha: 8, TargetModules: []string{"o_proj"}, SaveModules: []string{"lm_head", "embed_tokens", "model.norm"}},
		"the head alone outright":       {R: 4, Alpha: 8, TargetModules: []string{"o_proj", "embed_tokens"}, SaveModules: []string{"lm_head"}},
		"the embedding alone outright":  {R: 4, Alpha: 8, TargetModules: []string{"o_proj", "lm_head"}, SaveModules: []string{"embed_tokens"}},
		"ranks and alphas of their own": {R: 4, Alpha: 8, TargetModules: []string{AllLinear}, RankPattern: []Pattern[int]{{"o_proj", 2}, {"layers.1.*", 5}}, AlphaPattern: []Pattern[float64]{{"down_proj", 1}}},
	} {
		for _, family := range []string{"qwen2", "llama", "phi3"} {
			for _, tied := range []bool{true, false} {
				t.Run(fmt.Sprint(name, " ", family, " tied ", tied), func(t *testing.T) {
					cfg, p := smallModel(t, family)
					if cfg.TieEmbeddings = tied; !tied {
						untie(t, cfg, p)
					}
					before := values(p)
					a := trained(t, c, cfg)
					lengthen(t, a, cfg, p)
					for i := range a.Saved {
						for j := range a.Saved[i].Data {
							a.Saved[i].Data[j] *= 1 + 0.3*float32(math.Sin(float64(j)))
						}
					}
					plain, applied := logits(t, cfg, p, nil), logits(t, cfg, p, a)
					whole, base := a.Model(cfg, p)
					folded, err := a.Merge(reference.New(), base)
					if err != nil {
						t.Fatal(err)
					}
					merged, err := model.ReadAll(folded)
					if err != nil {
						t.Fatal(err)
					}
					if ends := strings.Contains(name, "head") || strings.Contains(name, "embedding") || strings.Contains(name, "both") || strings.Contains(name, "outright"); whole.TieEmbeddings != (tied && !ends) {
						t.Errorf("tied: %v", whole.TieEmbeddings)
					}
					if distance(plain, applied) < 0.01 {
						t.Error("the adapter has no effect")
					}
					if d := distance(applied, logits(t, whole, merged, nil)); d > 5e-6 { // merged weights are rounded to float32
						t.Errorf("off by %g", d)
					}
					if !reflect.DeepEqual(before, values(p)) {
						t.Error("Merge changed the base")
					}
					dir := t.TempDir()
					if err := a.Write(dir); err != nil {
						t.Fatal(err)
					}
					again, err := Read(dir, cfg)
					if err != nil {
						t.Fatal(err)
					}
					if d := distance(applied, logits(t, cfg, p, again)); d != 0 {
						t.Errorf("written and read, it is off by %g", d)
					}
				})
			}
		}
	}
}

// untie gives a model a head of its own.
func untie(t *testing.T, cfg model.Config, p *model.Params) {
	t.Helper()
	head, _ := p.Get("model.embed_tokens.weight")
	data := make([]float32, len(head.Data))
	for i := range data {
		data[i] = head.Data[len(data)-1-i]
	}
	if err := p.Set(model.Param{Name: "lm_head.weight", Shape: head.Shape, Data: data}); err != nil {
		t.Fatal(err)
	}
}

// lengthen gives a DoRA adapter magnitudes that are not the rows' lengths.
func lengthen(t *testing.T, a *Adapter, cfg model.Config, p model.Source) {
	t.Helper()
	_, p = a.Model(cfg, p)
	if err := a.Begin(reference.New(), p); err != nil {
		t.Fatal(err)
	}
	for _, m := range a.Modules {
		for i := range m.M {
			m.M[i] *= 1 + 0.3*float32(math.Sin(float64(i)))
		}
	}
}

func TestAFreshDoRAAdapterChangesNothing(t *testing.T) {
	for _, family := range []string{"qwen2", "phi3"} {
		cfg, p := smallModel(t, family)
		a, err := New(Config{R: 4, Alpha: 8, DoRA: true, TargetModules: []string{AllLinear}}, cfg, 1)
		if err == nil {
			err = a.Begin(reference.New(), p)
		}
		if err != nil {
			t.Fatal(err)
		}
		if d := distance(logits(t, cfg, p, nil), logits(t, cfg, p, a)); d > 1e-6 {
			t.Errorf("%s: off by %g", family, d)
		}
	}
}

func TestDoRAUnderDropoutThatTakesNothingIsDoRAWithout(t *testing.T) {
	cfg, p := smallModel(t, "qwen2")
	a := trained(t, Config{R: 4, Alpha: 8, Dropout: 1e-12, DoRA: true, TargetModules: []string{AllLinear}}, cfg)
	lengthen(t, a, cfg, p)
	without, with := logits(t, cfg, p, a), logitsInTraining(t, cfg, p, a)
	if d := distance(without, with); d > 1e-9 {
		t.Errorf("off by %g", d)
	}
	a.Dropout = 0.5
	if d := distance(without, logitsInTraining(t, cfg, p, a)); d < 0.01 {
		t.Errorf("dropout of half the inputs changes only %g", d)
	}
}

// values copies all values.
func values(p *model.Params) (all []float32) {
	for _, n := range p.Names() {
		x, _ := p.Get(n)
		all = append(all, x.Data...)
	}
	return all
}

func TestMergingIntoAnotherModelIsRefused(t *testing.T) {
	cfg, _ := smallModel(t, "llama")
	a := trained(t, Config{R: 2, Alpha: 2, TargetModules: []string{"q_proj"}}, cfg)
	other, err := model.NewParams()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Merge(reference.New(), other); err == nil || !strings.Contains(err.Error(), "another model") {
		t.Errorf("got %v", err)
	}
}

// Writers read a merged model a part at a time, several parts at once.
func TestAMergedModelReadsTheSameInParts(t *testing.T) {
	for _, c := range []Config{
		{R: 4, Alpha: 8, TargetModules: []string{AllLinear}},
		{R: 4, Alpha: 8, DoRA: true, TargetModules: []string{AllLinear}},
	} {
		t.Run(fmt.Sprintf("DoRA %t", c.DoRA), func(t *testing.T) {
			cfg, p := smallModel(t, "llama")
			a := trained(t, c, cfg)
			lengthen(t, a, cfg, p)
			dev := &oneAtATime{Device: reference.New(), t: t}
			folded, err := a.Merge(dev, p)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range a.Modules {
				whole := make([]float32, m.Out*m.In)
				if err := folded.ReadAt(m.weight(), whole, 0); err != nil {
					t.Fatal(err)
				}
				parts := make([]float32, len(whole))
				const rows = 3
				var wg sync.WaitGroup
				for at := 0; at < len(parts); at += rows * m.In {
					wg.Go(func() {
						if err := folded.ReadAt(m.weight(), parts[at:min(at+rows*m.In, len(parts))], at); err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
				if !slices.Equal(parts, whole) {
					t.Errorf("%s differs when it is read in parts of %d rows", m.Name, rows)
				}
			}
			if dev.products.Load() == 0 {
				t.Error("the device computed nothing")
			}
		})
	}
}

// oneWeight is a model of one weight, every element of whose row k is k+1.
type oneWeight struct{ in, out int }

func (w oneWeight) Names() []string            { return []string{"large.weight"} }
func (w oneWeight) Shape(string) ([]int, bool) { return []int{w.out, w.in}, true }
func (w oneWeight) ReadAt(_ string, dst []float32, at int) error {
	for i := range dst {
		dst[i] = float32((at+i)/w.in + 1)
	}
	return nil
}

// A weight of a real model's size is read in parts; those of the tests' models fit into one.
func TestTheMagnitudesOfALargeWeightAreThoseOfItsRows(t *testing.T) {
	const in, out = 1 << 18, 6 // four rows a part
	m := Module{Name: "large", In: in, Out: out, R: 1, Scaling: 2, A: make([]float32, in), B: make([]float32, out)}
	for i := range m.A {
		m.A[i] = 1
	}
	for k := range m.B {
		m.B[k] = float32(k * k) // row k of W + scaling·B·A holds k+1 + 2k², so its length is √in of that
	}
	a := &Adapter{Config: Config{DoRA: true}, Modules: []Module{m}}
	if err := a.Begin(reference.New(), oneWeight{in, out}); err != nil {
		t.Fatal(err)
	}
	for k, got := range a.Modules[0].M {
		if want := float32(512 * (k + 1 + 2*k*k)); got != want {
			t.Errorf("row %d: %v, want %v", k, got, want)
		}
	}
}

// oneAtATime is a device that takes one product at a time, as a stream does, and says when a second begins.
type oneAtATime struct {
	device.Device
	t              *testing.T
	busy, products atomic.Int32
}

func (d *oneAtATime) MatMul(dst, a, b device.Buffer, m, n, k int, ta, tb, add bool) {
	if d.busy.Add(1) > 1 {
		d.t.Error("two products at once")
	}
	for range 20 { // room for another to come
		runtime.Gosched()
	}
	d.Device.MatMul(dst, a, b, m, n, k, ta, tb, add)
	d.products.Add(1)
	d.busy.Add(-1)
}
