package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"triality/runtime/safetensors"
)

// nesting is a model type whose config.json has that of a text model within it, beside models for other
// inputs. The engine computes the text model; what it writes is the text model by itself.
type nesting struct {
	text   string            // model_type of the text_config that does not say
	fields []string          // of config.json beside text_config, none of which changes what text gives
	spare  map[string]string // what the tensors under a prefix are for
}

// nested are the model types; where their text_config is tied is said outside of it, and is the default.
var nested = map[string]nesting{
	"mistral3": {
		text: "mistral",
		fields: []string{"text_config", "vision_config", "image_token_index", "image_token_id", "spatial_merge_size",
			"vision_feature_layer", "multimodal_projector_bias", "projector_hidden_act", "tie_word_embeddings"},
		spare: map[string]string{"vision_tower.": "images", "multi_modal_projector.": "images"},
	},
}

// textOf is the configuration of the text model in a config.json: the file itself, or its text_config
// with the tokens and the storage type that only the file outside may say.
func textOf(outer map[string]json.RawMessage) (text map[string]json.RawMessage, isNested bool, err error) {
	var kind string
	if json.Unmarshal(outer["model_type"], &kind) != nil {
		return outer, false, nil // parse says what is wrong
	}
	n, isNested := nested[kind]
	if !isNested {
		return outer, false, nil
	}
	if err := json.Unmarshal(outer["text_config"], &text); err != nil || text == nil {
		return nil, true, fmt.Errorf("text_config of a %s model is missing or no JSON object", kind)
	}
	text = maps.Clone(text)
	if _, ok := text["model_type"]; !ok {
		text["model_type"], _ = json.Marshal(n.text)
	}
	for _, key := range []string{"bos_token_id", "eos_token_id", "pad_token_id", "dtype", "torch_dtype", "quantization_config"} {
		if _, ok := text[key]; !ok && outer[key] != nil {
			text[key] = outer[key]
		}
	}
	delete(text, "architectures") // those of the text model alone, which JSON gives
	return text, true, nil
}

// tiedOutside is tie_word_embeddings of a nested model, which is that of the whole.
func tiedOutside(outer map[string]json.RawMessage) bool {
	tied := true
	if raw, ok := outer["tie_word_embeddings"]; ok {
		_ = json.Unmarshal(raw, &tied) // decodeExact has refused what is no boolean in a plain model; null is the default
	}
	return tied
}

// StoredNames gives the names that a folder's files have for weights: of a text model within another they
// have "language_model." before them, in either of the places that transformers has put it.
func StoredNames(c Config, m *safetensors.Model) func(name string) string {
	if !c.Nested {
		return func(name string) string { return name }
	}
	return func(name string) string {
		inner, inModel := strings.CutPrefix(name, "model.")
		candidates := []string{"language_model." + name, name}
		if inModel {
			candidates = []string{"language_model." + name, "model.language_model." + inner}
		}
		for _, n := range candidates {
			if _, ok := m.Info(n); ok {
				return n
			}
		}
		return candidates[0]
	}
}

// Unused says of a tensor that is no weight of Specs why the model does without it; ok is false where
// nothing explains it.
func (c Config) Unused(tensor string) (why string, ok bool) {
	switch {
	case c.TieEmbeddings && (tensor == headName || c.Nested && tensor == "language_model."+headName):
		return "equal to the embedding it is tied to", true
	case strings.HasSuffix(tensor, ".rotary_emb.inv_freq"):
		return "a table that config.json gives", true
	case c.Nested:
		for _, n := range nested {
			for prefix, use := range n.spare {
				if strings.HasPrefix(strings.TrimPrefix(tensor, "model."), prefix) {
					return "for " + use, true
				}
			}
		}
	}
	return "", false
}
