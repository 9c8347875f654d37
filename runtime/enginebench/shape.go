package enginebench

import "triality/runtime/model"

// Shape is a Llama's sizes; heads have Hidden/Heads dimensions, input and output embeddings are one
// matrix.
type Shape struct {
	Vocab   int `json:"vocab_size"`
	Hidden  int `json:"hidden_size"`
	Layers  int `json:"num_hidden_layers"`
	Heads   int `json:"num_attention_heads"`
	KVHeads int `json:"num_key_value_heads"`
	FFN     int `json:"intermediate_size"`
}

// TenMillion has 9,988,800 weights.
var TenMillion = Shape{Vocab: 4096, Hidden: 320, Layers: 7, Heads: 5, KVHeads: 5, FFN: 864}

func (s Shape) config(positions int) (model.Config, error) {
	return model.NamedShape{
		Hidden: s.Hidden, Layers: s.Layers, Heads: s.Heads, KVHeads: s.KVHeads, FFN: s.FFN, Positions: positions,
	}.Config("llama", s.Vocab)
}
