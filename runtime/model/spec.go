package model

import "fmt"

// Spec is the name and shape of one weight, as Hugging Face has them: a linear weight is [out, in].
type Spec struct {
	Name  string
	Shape []int
}

const (
	embedName = "model.embed_tokens.weight"
	headName  = "lm_head.weight"
	normName  = "model.norm.weight"
)

// Specs lists every weight of the model, in the order of the computation.
func (c Config) Specs() []Spec {
	d := c.HiddenSize
	specs := []Spec{{embedName, []int{c.VocabSize, d}}}
	for i := range c.Layers {
		p := layerPrefix(i)
		specs = append(specs, Spec{p + "input_layernorm.weight", []int{d}})
		for _, l := range c.linears() {
			if l.module == "mlp.gate_proj" || l.module == c.gateUpModule() {
				specs = append(specs, Spec{p + "post_attention_layernorm.weight", []int{d}})
			}
			specs = append(specs, Spec{p + l.module + ".weight", []int{l.out, l.in}})
			if l.bias {
				specs = append(specs, Spec{p + l.module + ".bias", []int{l.out}})
			}
			if l.norm != "" {
				specs = append(specs, Spec{p + l.norm + ".weight", []int{c.HeadDim}})
			}
		}
	}
	specs = append(specs, Spec{normName, []int{d}})
	if !c.TieEmbeddings {
		specs = append(specs, Spec{headName, []int{c.VocabSize, d}})
	}
	return specs
}

// linear is one linear module of a layer.
type linear struct {
	module  string
	out, in int
	bias    bool
	norm    string // the module that norms each head of the output, if any
}

func (c Config) linears() []linear {
	d, q, f := c.HiddenSize, c.Heads*c.HeadDim, c.IntermediateSize
	if c.Fused {
		return []linear{
			{module: "self_attn.qkv_proj", out: q + 2*c.KVDim(), in: d, bias: c.QKVBias},
			{module: "self_attn.o_proj", out: d, in: q, bias: c.OutputBias},
			{module: c.gateUpModule(), out: 2 * f, in: d}, {module: c.downModule(), out: d, in: f},
		}
	}
	attention := []linear{
		{module: "self_attn.q_proj", out: q, in: d, bias: c.QKVBias},
		{module: "self_attn.k_proj", out: c.KVDim(), in: d, bias: c.QKVBias},
		{module: "self_attn.v_proj", out: c.KVDim(), in: d, bias: c.QKVBias},
		{module: "self_attn.o_proj", out: d, in: q, bias: c.OutputBias},
	}
	if c.QKNorm {
		attention[0].norm, attention[1].norm = "self_attn.q_norm", "self_attn.k_norm"
	}
	if c.SharedMLP {
		return append(attention, linear{module: c.gateUpModule(), out: 2 * f, in: d}, linear{module: c.downModule(), out: d, in: f})
	}
	return append(attention, linear{module: "mlp.gate_proj", out: f, in: d}, linear{module: "mlp.up_proj", out: f, in: d}, linear{module: c.downModule(), out: d, in: f})
}

// gateUpModule is the module of gate and up, in the models that have one for both.
func (c Config) gateUpModule() string {
	switch {
	case c.Fused:
		return "mlp.gate_up_proj"
	case c.SharedMLP:
		return "shared_mlp.input_linear"
	}
	return ""
}

func (c Config) downModule() string {
	if c.SharedMLP {
		return "shared_mlp.output_linear"
	}
	return "mlp.down_proj"
}

// Linears lists the linear modules of the model and their weights' shapes [out, in]; names are
// without ".weight". The head is not among them.
func (c Config) Linears() []Spec {
	var specs []Spec
	for i := range c.Layers {
		for _, l := range c.linears() {
			specs = append(specs, Spec{layerPrefix(i) + l.module, []int{l.out, l.in}})
		}
	}
	return specs
}

// AttentionInputs lists the linear modules of a layer that read the normed hidden state before
// attention.
func (c Config) AttentionInputs(layer int) []string {
	p := layerPrefix(layer) + "self_attn."
	if c.Fused {
		return []string{p + "qkv_proj"}
	}
	return []string{p + "q_proj", p + "k_proj", p + "v_proj"}
}

func layerPrefix(i int) string { return fmt.Sprintf("model.layers.%d.", i) }
