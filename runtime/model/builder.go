package model

import (
	"fmt"
	"maps"
	"math"
	"slices"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
	"triality/runtime/graph"
)

// freqName is the leaf of the rotary frequencies, which DeviceParams computes from the configuration.
const freqName = "rotary.freq"

// Hooks change the model that a Builder writes; the zero value is the plain model.
type Hooks struct {
	// Linear may add to the plain output y of a linear module, as LoRA does; x is the module's input.
	// A module whose output is used in parts, as Phi-3's qkv_proj, is computed a part at a time.
	Linear func(b *Builder, out Rows, x, y *G.Node) (*G.Node, error)
	// Embedding may add to the embeddings h of tokens, as LoRA on the embedding does.
	Embedding func(b *Builder, ids, h *G.Node) (*G.Node, error)
	// Head may change what the language-model head multiplies: hidden rows h[T, D] and a weight w[V, D],
	// for some D. The head's leaf is "lm_head.weight" unless it is tied.
	Head func(b *Builder, h, w *G.Node) (*G.Node, *G.Node, error)
	// AttentionInput may change the normed hidden state before q, k and v.
	AttentionInput func(b *Builder, layer int, h *G.Node) (*G.Node, error)
	// HiddenStates sees each layer's output.
	HiddenStates func(layer int, h *G.Node)
	// Storage is how the weights are held, as DeviceParams.Storage has it.
	Storage Storage
	// KV makes attention read keys and values from a cache, which the graph writes first.
	KV *KVCache
}

// Rows are outputs From ≤ o < To of a linear module, for example of "model.layers.3.self_attn.q_proj":
// all of them but where a fused module is computed in parts.
type Rows struct {
	Module   string
	From, To int
}

// Of is the rows' part of a node whose first dimension is the module's outputs.
func (r Rows) Of(w *G.Node) (*G.Node, error) {
	shape := w.Shape().Clone()
	if shape[0] == r.To-r.From {
		return w, nil
	}
	row := shape.TotalSize() / shape[0]
	shape[0] = r.To - r.From
	return graph.View(w, r.From*row, shape...)
}

// KVCache asks for a key-value cache of Capacity rows in each layer: leaves CacheName(layer, "k") and
// CacheName(layer, "v"), [Capacity, KVDim]. Inputs then has Slots, and Lo and Hi count cache rows.
type KVCache struct {
	Capacity int
	// Gather, where positive, makes attention read that many rows of the cache, copied into one
	// sequence in the order of Inputs.Rows; Lo and Hi then count those. So keys that lie apart, or that
	// several sequences share, come to lie together.
	Gather int
}

// CacheName is the leaf of a layer's cache; part is "k" or "v".
func CacheName(layer int, part string) string { return fmt.Sprintf("cache.%d.%s", layer, part) }

// Inputs are the index leaves of a graph over T tokens, each Int32[T] but for Rows.
type Inputs struct {
	IDs *G.Node // token ids
	Pos *G.Node // positions for the rotary embedding
	// A token attends to the rows Lo ≤ j < Hi: in packed sequences Lo is its own sequence's first row
	// and Hi its own row + 1.
	Lo, Hi *G.Node
	Slots  *G.Node // with a KVCache: the cache row that takes each token's key and value
	Rows   *G.Node // with KVCache.Gather, of that length: the cache rows that are gathered
}

// Builder writes a model into a Gorgonia graph.
type Builder struct {
	cfg    Config
	hooks  Hooks
	g      *G.ExprGraph
	leaves map[string]*G.Node
	err    error
}

// NewBuilder starts an empty graph.
func NewBuilder(cfg Config, hooks Hooks) *Builder {
	return &Builder{cfg: cfg, hooks: hooks, g: G.NewGraph(), leaves: make(map[string]*G.Node)}
}

// Config is the model's configuration.
func (b *Builder) Config() Config { return b.cfg }

// Graph is the graph written so far.
func (b *Builder) Graph() *G.ExprGraph { return b.g }

// Leaves gives the leaves by name.
func (b *Builder) Leaves() map[string]*G.Node { return maps.Clone(b.leaves) }

// Err is the first error of Leaf.
func (b *Builder) Err() error { return b.err }

// Leaf is the leaf of a name, made at the first call. A second call with another shape or type gives
// nil and sets Err.
func (b *Builder) Leaf(name string, dtype device.DType, shape ...int) *G.Node {
	if n, ok := b.leaves[name]; ok {
		if !slices.Equal([]int(n.Shape()), shape) || graph.DType(n) != dtype {
			b.fail(fmt.Errorf("model: leaf %q is %v, asked for again as %v of %v", name, n.Shape(), shape, dtype))
			return nil
		}
		return n
	}
	n, err := graph.Leaf(b.g, name, dtype, shape...)
	if err != nil {
		b.fail(err)
		return nil
	}
	b.leaves[name] = n
	return n
}

func (b *Builder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// Inputs makes the index leaves for T tokens: "input.ids", "input.pos", "input.lo", "input.hi" and,
// with a cache, "input.slots" and "input.rows".
func (b *Builder) Inputs(T int) Inputs {
	leaf := func(name string) *G.Node { return b.Leaf("input."+name, device.Int32, T) }
	in := Inputs{IDs: leaf("ids"), Pos: leaf("pos"), Lo: leaf("lo"), Hi: leaf("hi")}
	if b.hooks.KV != nil {
		in.Slots = leaf("slots")
		if n := b.hooks.KV.Gather; n > 0 {
			in.Rows = b.Leaf("input.rows", device.Int32, n)
		}
	}
	return in
}

// Hidden is the final normed hidden state [T, HiddenSize].
func (b *Builder) Hidden(in Inputs) (*G.Node, error) {
	h, err := graph.Embedding(b.weight(embedName, b.cfg.VocabSize, b.cfg.HiddenSize), in.IDs)
	if err == nil && b.hooks.Embedding != nil {
		h, err = b.hooks.Embedding(b, in.IDs, h)
	}
	if err == nil {
		h, err = scaled(h, b.cfg.Multipliers.Embedding)
	}
	for i := 0; i < b.cfg.Layers && err == nil; i++ {
		if h, err = b.layer(i, h, in); err != nil {
			err = fmt.Errorf("layer %d: %w", i, err)
		} else if b.hooks.HiddenStates != nil {
			b.hooks.HiddenStates(i, h)
		}
	}
	if err == nil {
		h, err = graph.RMSNorm(h, b.weight(normName, b.cfg.HiddenSize), b.cfg.RMSNormEps)
	}
	if b.err != nil {
		err = b.err
	}
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	return h, nil
}

func (b *Builder) weight(name string, shape ...int) *G.Node {
	return b.Leaf(name, device.Float, shape...)
}

func (b *Builder) layer(i int, h *G.Node, in Inputs) (*G.Node, error) {
	p, d := layerPrefix(i), b.cfg.HiddenSize
	x, err := graph.RMSNorm(h, b.weight(p+"input_layernorm.weight", d), b.cfg.RMSNormEps)
	if err != nil {
		return nil, err
	}
	if b.hooks.AttentionInput != nil {
		if x, err = b.hooks.AttentionInput(b, i, x); err != nil {
			return nil, err
		}
	}
	if x, err = b.attention(i, x, in); err != nil {
		return nil, err
	}
	if h, err = b.residual(h, x); err != nil {
		return nil, err
	}
	if x, err = graph.RMSNorm(h, b.weight(p+"post_attention_layernorm.weight", d), b.cfg.RMSNormEps); err != nil {
		return nil, err
	}
	gate, up, err := b.gateUp(i, x)
	if err != nil {
		return nil, err
	}
	if x, err = graph.SwiGLU(gate, up); err != nil {
		return nil, err
	}
	if x, err = b.linear(i, b.cfg.downModule(), x); err != nil {
		return nil, err
	}
	return b.residual(h, x)
}

// residual adds what a part of a layer gives to the stream.
func (b *Builder) residual(h, x *G.Node) (*G.Node, error) {
	x, err := scaled(x, b.cfg.Multipliers.Residual)
	if err != nil {
		return nil, err
	}
	return graph.Add(h, x)
}

// gateUp is the two inputs of SwiGLU.
func (b *Builder) gateUp(i int, x *G.Node) (gate, up *G.Node, err error) {
	if f, both := b.cfg.IntermediateSize, b.cfg.gateUpModule(); both != "" {
		if gate, err = b.rows(i, both, 0, f, x); err == nil {
			up, err = b.rows(i, both, f, 2*f, x)
		}
		return gate, up, err
	}
	if gate, err = b.linear(i, "mlp.gate_proj", x); err == nil {
		up, err = b.linear(i, "mlp.up_proj", x)
	}
	return gate, up, err
}

// qkv is queries, keys and values before norms and the rotary embedding.
func (b *Builder) qkv(i int, x *G.Node) (q, k, v *G.Node, err error) {
	if end, kv := b.cfg.Heads*b.cfg.HeadDim, b.cfg.KVDim(); b.cfg.Fused {
		if q, err = b.rows(i, "self_attn.qkv_proj", 0, end, x); err == nil {
			if k, err = b.rows(i, "self_attn.qkv_proj", end, end+kv, x); err == nil {
				v, err = b.rows(i, "self_attn.qkv_proj", end+kv, end+2*kv, x)
			}
		}
		return q, k, v, err
	}
	if q, err = b.linear(i, "self_attn.q_proj", x); err == nil {
		if k, err = b.linear(i, "self_attn.k_proj", x); err == nil {
			v, err = b.linear(i, "self_attn.v_proj", x)
		}
	}
	return q, k, v, err
}

func (b *Builder) attention(i int, x *G.Node, in Inputs) (*G.Node, error) {
	c := b.cfg
	q, k, v, err := b.qkv(i, x)
	if err == nil {
		q, err = b.turned(i, "self_attn.q_norm", q, in, c.Heads)
	}
	if err == nil {
		k, err = b.turned(i, "self_attn.k_norm", k, in, c.KVHeads)
	}
	if err == nil && c.Rope.QueryGrowth > 0 {
		q, err = b.grown(q, in)
	}
	if err != nil {
		return nil, err
	}
	if kv := b.hooks.KV; kv != nil {
		if k, err = graph.CacheWrite(b.weight(CacheName(i, "k"), kv.Capacity, c.KVDim()), k, in.Slots); err != nil {
			return nil, err
		}
		if v, err = graph.CacheWrite(b.weight(CacheName(i, "v"), kv.Capacity, c.KVDim()), v, in.Slots); err != nil {
			return nil, err
		}
		if kv.Gather > 0 {
			if k, err = graph.Embedding(k, in.Rows); err != nil {
				return nil, err
			}
			if v, err = graph.Embedding(v, in.Rows); err != nil {
				return nil, err
			}
		}
	}
	heads := graph.Heads{Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: c.HeadDim, Scale: c.Multipliers.Attention, Window: c.window(i)}
	if heads.Scale == 0 {
		heads.Scale = 1 / math.Sqrt(float64(c.HeadDim))
	}
	if x, err = graph.Attention(q, k, v, in.Lo, in.Hi, heads); err != nil {
		return nil, err
	}
	return b.linear(i, "self_attn.o_proj", x)
}

// turned is y with its heads normed, in the families that do, and turned by the rotary embedding, in the
// layers that are.
func (b *Builder) turned(i int, norm string, y *G.Node, in Inputs, heads int) (*G.Node, error) {
	if b.cfg.QKNorm {
		var err error
		if y, err = b.normHeads(y, b.weight(layerPrefix(i)+norm+".weight", b.cfg.HeadDim)); err != nil {
			return nil, err
		}
	}
	if !b.cfg.Turns(i) {
		return y, nil
	}
	return graph.Rotary(y, in.Pos, b.weight(freqName, b.cfg.Rotary()/2), heads, b.cfg.HeadDim, b.cfg.Rope.scale())
}

// normHeads norms each head of y[T, heads·HeadDim] by itself.
func (b *Builder) normHeads(y, w *G.Node) (*G.Node, error) {
	shape := y.Shape()
	heads, err := graph.View(y, 0, shape.TotalSize()/b.cfg.HeadDim, b.cfg.HeadDim)
	if err != nil {
		return nil, err
	}
	if heads, err = graph.RMSNorm(heads, w, b.cfg.RMSNormEps); err != nil {
		return nil, err
	}
	return graph.View(heads, 0, shape...)
}

// module describes one linear module of every layer.
func (b *Builder) module(name string) linear {
	all := b.cfg.linears()
	return all[slices.IndexFunc(all, func(l linear) bool { return l.module == name })]
}

// linear is x·Wᵀ plus the bias, as the hook leaves it.
func (b *Builder) linear(i int, module string, x *G.Node) (*G.Node, error) {
	return b.rows(i, module, 0, b.module(module).out, x)
}

// rows is a part of a linear module's output. The weight is cut, which costs nothing, and not the
// output, whose parts do not lie together.
func (b *Builder) rows(i int, module string, from, to int, x *G.Node) (*G.Node, error) {
	l := b.module(module)
	r := Rows{layerPrefix(i) + module, from, to}
	y, err := b.plainRows(l, r, x)
	if err == nil && b.hooks.Linear != nil {
		y, err = b.hooks.Linear(b, r, x, y)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Module, err)
	}
	return y, nil
}

func (b *Builder) plainRows(l linear, r Rows, x *G.Node) (*G.Node, error) {
	y, err := b.product(l, r, x)
	if err != nil || !l.bias {
		return y, err
	}
	bias := b.weight(r.Module+".bias", l.out)
	if bias == nil {
		return nil, b.err
	}
	if bias, err = r.Of(bias); err != nil {
		return nil, err
	}
	return graph.AddBias(y, bias)
}

// product is x·Wᵀ.
func (b *Builder) product(l linear, r Rows, x *G.Node) (*G.Node, error) {
	if b.hooks.Storage.Quantized() {
		codes, scale, err := b.quantized(l.out, l.in, r)
		if err != nil {
			return nil, err
		}
		if b.hooks.Storage.FP8 {
			return graph.FP8Linear(x, codes, scale)
		}
		return graph.QuantizedLinear(x, codes, scale, b.hooks.Storage.Threshold)
	}
	w := b.weight(r.Module+".weight", l.out, l.in)
	if w == nil {
		return nil, b.err
	}
	w, err := r.Of(w)
	if err != nil {
		return nil, err
	}
	return graph.MatMul(x, w, false, true)
}

// quantized is the rows' codes and scales.
func (b *Builder) quantized(out, in int, r Rows) (codes, scale *G.Node, err error) {
	name := r.Module + ".weight"
	codes, scale = b.Leaf(name, device.Int8, out, in), b.weight(Scales(name), out)
	if b.err != nil {
		return nil, nil, b.err
	}
	if codes, err = r.Of(codes); err != nil {
		return nil, nil, err
	}
	scale, err = r.Of(scale)
	return codes, scale, err
}

// Weight is the rows of a linear module's weight as floats, [rows, in]: the weight itself, or what
// its codes stand for.
func (b *Builder) Weight(r Rows, out, in int) (*G.Node, error) {
	if b.hooks.Storage.Quantized() {
		codes, scale, err := b.quantized(out, in, r)
		if err != nil {
			return nil, err
		}
		if b.hooks.Storage.FP8 {
			return graph.DequantizeFP8(codes, scale)
		}
		return graph.Dequantize(codes, scale)
	}
	w := b.weight(r.Module+".weight", out, in)
	if w == nil {
		return nil, b.err
	}
	return r.Of(w)
}
