package gguf

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"triality/runtime/model"
)

// architectures has llama.cpp's name for each family: it knows Mistral as llama, and a dense Granite 4 as
// granite.
var architectures = map[string]string{
	"llama": "llama", "mistral": "llama", "ministral": "llama", "ministral3": "mistral3", "phi3": "phi3", "qwen2": "qwen2",
	"qwen3": "qwen3", "smollm3": "smollm3", "granite": "granite", "granitemoehybrid": "granite",
}

// known says whether Export makes files of an architecture.
func known(arch string) bool {
	return slices.Contains(slices.Collect(maps.Values(architectures)), arch)
}

// headTensor and embedTensor are the only two matrices of the vocabulary's height.
const (
	embedTensor = "token_embd"
	headTensor  = "output"
)

// outer and inner are llama.cpp's names of a model's modules and of a layer's.
var (
	outer = map[string]string{"model.embed_tokens": embedTensor, "model.norm": "output_norm", "lm_head": headTensor}
	inner = map[string]string{
		"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
		"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
		"self_attn.o_proj": "attn_output", "self_attn.qkv_proj": "attn_qkv",
		"self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
		"mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
		"mlp.gate_up_proj":         "ffn_up", // gate first in both
		"shared_mlp.output_linear": "ffn_down",
	}
)

// tensorName is llama.cpp's name of a weight that Hugging Face calls name.
func tensorName(name string) (string, error) {
	dot := strings.LastIndexByte(name, '.')
	if dot >= 0 {
		module, kind := name[:dot], name[dot:]
		if to, ok := outer[module]; ok {
			return to + kind, nil
		}
		if rest, ok := strings.CutPrefix(module, "model.layers."); ok {
			layer, part, _ := strings.Cut(rest, ".")
			if to, ok := inner[part]; ok {
				return "blk." + layer + "." + to + kind, nil
			}
		}
	}
	return "", fmt.Errorf("weight %s has no name in GGUF", name)
}

// neighbours are llama.cpp's architectures that turn neighbours (2i, 2i+1) of a head where Hugging Face
// turns (i, i+d/2); its others turn as Hugging Face does.
var neighbours = []string{"llama", "mistral3", "smollm3", "granite"}

// permuted says whether the rows of a weight change their order, for llama.cpp's way to turn a head.
func permuted(arch, name string) (heads func(model.Config) int, ok bool) {
	if !slices.Contains(neighbours, arch) {
		return nil, false
	}
	parts := strings.Split(name, ".")
	switch {
	case slices.Contains(parts, "q_proj"):
		return func(c model.Config) int { return c.Heads }, true
	case slices.Contains(parts, "k_proj"):
		return func(c model.Config) int { return c.KVHeads }, true
	}
	return nil, false
}

// sourceRow is the row of the Hugging Face weight that is row r of the permuted one: within a head of
// d rows, row 2i is i and row 2i+1 is i+d/2.
func sourceRow(r, d int) int {
	head, i := r/d*d, r%d
	return head + i/2 + i%2*(d/2)
}
