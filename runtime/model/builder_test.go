package model

import (
	"math"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
	"triality/runtime/device/reference"
	"triality/runtime/graph"
)

// lively scales fresh weights up and fills the biases, so that every part of the model shows.
func lively(t *testing.T, c Config) *Params {
	p := fresh(t, c, 5)
	for j, n := range p.Names() {
		x, _ := p.Get(n)
		for i := range x.Data {
			x.Data[i] = 6*x.Data[i] + 0.05*float32(math.Sin(float64(3*i+j)))
		}
	}
	return p
}

// packed is token sequences laid end to end.
type packed struct{ ids, pos, lo, hi []int32 }

func pack(sequences ...[]int32) (p packed) {
	for _, s := range sequences {
		start := int32(len(p.ids))
		for i, id := range s {
			p.ids = append(p.ids, id)
			p.pos = append(p.pos, int32(i))
			p.lo = append(p.lo, start)
			p.hi = append(p.hi, start+int32(i)+1)
		}
	}
	return p
}

// compute runs nodes of a builder over packed inputs on the reference device.
func compute(t *testing.T, b *Builder, p *Params, in packed, nodes ...*G.Node) [][]float64 {
	t.Helper()
	dev := reference.New()
	m, err := graph.Compile(dev, nodes)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Upload(dev, b.Config(), p)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Bind(m, b); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]int32{"input.ids": in.ids, "input.pos": in.pos, "input.lo": in.lo, "input.hi": in.hi} {
		buf, err := dev.Alloc(device.Int32, len(data))
		if err != nil {
			t.Fatal(err)
		}
		if err := dev.Upload(buf, data); err != nil {
			t.Fatal(err)
		}
		if err := m.Set(b.Leaves()[name], buf); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.RunAll(); err != nil {
		t.Fatal(err)
	}
	var out [][]float64
	for _, n := range nodes {
		x := make([]float64, n.Shape().TotalSize())
		if err := dev.Download(x, m.Output(n)); err != nil {
			t.Fatal(err)
		}
		out = append(out, x)
	}
	return out
}

func hidden(t *testing.T, c Config, hooks Hooks, p *Params, in packed) []float64 {
	t.Helper()
	b := NewBuilder(c, hooks)
	h, err := b.Hidden(b.Inputs(len(in.ids)))
	if err != nil {
		t.Fatal(err)
	}
	return compute(t, b, p, in, h)[0]
}

// plain computes the final hidden states of one sequence by loops over the formulas of the families'
// reference code, written apart from the engine.
func plain(c Config, p *Params, ids []int32) []float64 {
	get := func(name string) []float32 {
		if x, ok := p.Get(name); ok {
			return x.Data
		}
		return nil
	}
	T, D := len(ids), c.HiddenSize
	norm := func(x []float64, w []float32) []float64 {
		out := make([]float64, len(x))
		for t := range T {
			s := 0.0
			for d := range D {
				s += x[t*D+d] * x[t*D+d]
			}
			r := 1 / math.Sqrt(s/float64(D)+c.RMSNormEps)
			for d := range D {
				out[t*D+d] = float64(w[d]) * x[t*D+d] * r
			}
		}
		return out
	}
	lin := func(x []float64, name string, out, in int) []float64 {
		w, b := get(name+".weight"), get(name+".bias")
		y := make([]float64, T*out)
		for t := range T {
			for o := range out {
				s := 0.0
				if b != nil {
					s = float64(b[o])
				}
				for i := range in {
					s += float64(w[o*in+i]) * x[t*in+i]
				}
				y[t*out+o] = s
			}
		}
		return y
	}
	normHeads := func(x []float64, w []float32) {
		for h := 0; h < len(x); h += c.HeadDim {
			s := 0.0
			for i := range c.HeadDim {
				s += x[h+i] * x[h+i]
			}
			for i := range c.HeadDim {
				x[h+i] *= float64(w[i]) / math.Sqrt(s/float64(c.HeadDim)+c.RMSNormEps)
			}
		}
	}
	turn := func(x []float64, heads int) {
		half := c.HeadDim / 2
		for t := range T {
			for h := range heads {
				for i := range half {
					angle := float64(t) * float64(float32(math.Pow(c.RopeTheta, -2*float64(i)/float64(c.HeadDim))))
					a, b := &x[(t*heads+h)*c.HeadDim+i], &x[(t*heads+h)*c.HeadDim+i+half]
					*a, *b = *a*math.Cos(angle)-*b*math.Sin(angle), *b*math.Cos(angle)+*a*math.Sin(angle)
				}
			}
		}
	}
	h := make([]float64, T*D)
	for t, id := range ids {
		for d := range D {
			h[t*D+d] = float64(get(embedName)[int(id)*D+d])
		}
	}
	for l := range c.Layers {
		pre := layerPrefix(l)
		x := norm(h, get(pre+"input_layernorm.weight"))
		qd, kd := c.Heads*c.HeadDim, c.KVDim()
		q, k, v := lin(x, pre+"self_attn.q_proj", qd, D), lin(x, pre+"self_attn.k_proj", kd, D), lin(x, pre+"self_attn.v_proj", kd, D)
		if c.QKNorm {
			normHeads(q, get(pre+"self_attn.q_norm.weight"))
			normHeads(k, get(pre+"self_attn.k_norm.weight"))
		}
		turn(q, c.Heads)
		turn(k, c.KVHeads)
		a := make([]float64, T*qd)
		for t := range T {
			for hd := range c.Heads {
				kv := hd * c.KVHeads / c.Heads
				e, z := make([]float64, t+1), 0.0
				for j := range e {
					for i := range c.HeadDim {
						e[j] += q[t*qd+hd*c.HeadDim+i] * k[j*kd+kv*c.HeadDim+i] / math.Sqrt(float64(c.HeadDim))
					}
				}
				top := slices.Max(e)
				for j := range e {
					e[j] = math.Exp(e[j] - top)
					z += e[j]
				}
				for j := range e {
					for i := range c.HeadDim {
						a[t*qd+hd*c.HeadDim+i] += e[j] / z * v[j*kd+kv*c.HeadDim+i]
					}
				}
			}
		}
		for i, y := range lin(a, pre+"self_attn.o_proj", D, qd) {
			h[i] += y
		}
		x = norm(h, get(pre+"post_attention_layernorm.weight"))
		g, u := lin(x, pre+"mlp.gate_proj", c.IntermediateSize, D), lin(x, pre+"mlp.up_proj", c.IntermediateSize, D)
		for i := range g {
			g[i] *= u[i] / (1 + math.Exp(-g[i]))
		}
		for i, y := range lin(g, pre+"mlp.down_proj", D, c.IntermediateSize) {
			h[i] += y
		}
	}
	return norm(h, get(normName))
}

func near(t *testing.T, what string, got, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range got {
		if d := math.Abs(got[i] - want[i]); !(d <= tol*(1+math.Abs(want[i]))) {
			t.Fatalf("%s: value %d is %.12g, want %.12g", what, i, got[i], want[i])
		}
	}
}

func TestHiddenStatesEqualThePlainFormulas(t *testing.T) {
	ids := []int32{3, 1, 4, 1, 5, 9, 2, 6, 49, 0}
	biased := small(t, "llama", true)
	biased.QKVBias, biased.OutputBias = true, true
	ungrouped := small(t, "llama", true)
	ungrouped.KVHeads = ungrouped.Heads
	wide := small(t, "qwen2", false)
	wide.HeadDim = 8 // heads · head_dim is not hidden_size
	for name, c := range map[string]Config{
		"llama with grouped heads": small(t, "llama", true), "qwen2 with biases": small(t, "qwen2", false),
		"qwen3 with normed heads": small(t, "qwen3", false), "llama with attention_bias": biased, "a key head for each head": ungrouped, "heads wider than the hidden state": wide,
	} {
		t.Run(name, func(t *testing.T) {
			p := lively(t, c)
			near(t, "hidden", hidden(t, c, Hooks{}, p, pack(ids)), plain(c, p, ids), 1e-9)
		})
	}
}

func TestPackedSequencesGiveTheHiddenStatesOfSingleOnes(t *testing.T) {
	c := small(t, "qwen2", true)
	p := lively(t, c)
	sequences := [][]int32{{3, 1, 4, 1}, {5}, {9, 2, 6, 5, 3}, {3, 1, 4, 1}}
	var want []float64
	for _, s := range sequences {
		want = append(want, hidden(t, c, Hooks{}, p, pack(s))...)
	}
	near(t, "packed", hidden(t, c, Hooks{}, p, pack(sequences...)), want, 1e-12)
}

func TestTheHeadIsTheEmbeddingOnlyWhereTied(t *testing.T) {
	for _, tied := range []bool{true, false} {
		c := small(t, "llama", tied)
		b := NewBuilder(c, Hooks{})
		h, err := b.Hidden(b.Inputs(2))
		if err == nil {
			_, err = b.Logits(h)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, own := b.Leaves()[headName]; own == tied || (c.HeadName() == embedName) != tied {
			t.Errorf("tied is %t, the graph has a head of its own: %t; its name is %s", tied, own, c.HeadName())
		}
		for _, s := range c.Specs() {
			n, ok := b.Leaves()[s.Name]
			if !ok || !slices.Equal([]int(n.Shape()), s.Shape) {
				t.Errorf("weight %s %v is no leaf of the graph", s.Name, s.Shape)
			}
		}
	}
}

func TestHooksChangeTheModel(t *testing.T) {
	c := small(t, "llama", true)
	p := lively(t, c)
	in := pack([]int32{3, 1, 4, 1, 5})
	base := hidden(t, c, Hooks{}, p, in)
	var modules []string
	layers := 0
	hooks := Hooks{
		Linear: func(_ *Builder, out Rows, x, y *G.Node) (*G.Node, error) {
			modules = append(modules, out.Module)
			return graph.Scale(y, 1)
		},
		AttentionInput: func(_ *Builder, _ int, h *G.Node) (*G.Node, error) { return graph.Scale(h, 1) },
		HiddenStates:   func(int, *G.Node) { layers++ },
	}
	near(t, "hooks that change nothing", hidden(t, c, hooks, p, in), base, 1e-12)
	var want []string
	for _, s := range c.Linears() {
		want = append(want, s.Name)
	}
	if slices.Sort(modules); !slices.Equal(modules, slices.Sorted(slices.Values(want))) || layers != c.Layers {
		t.Errorf("the hooks saw %v and %d layers", modules, layers)
	}
	hooks.AttentionInput = func(_ *Builder, layer int, h *G.Node) (*G.Node, error) { return graph.Scale(h, 1+float64(layer)) }
	if slices.Equal(hidden(t, c, hooks, p, in), base) {
		t.Error("a hook at the attention's input has no effect")
	}
	b := NewBuilder(c, Hooks{Linear: func(b *Builder, _ Rows, x, y *G.Node) (*G.Node, error) {
		return b.Leaf(embedName, device.Float, 1, 1), nil
	}})
	if _, err := b.Hidden(b.Inputs(2)); err == nil || !strings.Contains(err.Error(), embedName) {
		t.Errorf("a leaf of two shapes gives %v", err)
	}
}
