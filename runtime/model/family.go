package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// family is what a model type does differently.
type family struct {
	architecture string
	maxPositions int                        // where config.json has no max_position_embeddings
	biasField    bool                       // config.json has attention_bias
	headDim      int                        // where config.json has no head_dim; 0 for hidden_size/heads
	tied         bool                       // where config.json has no tie_word_embeddings
	partial      bool                       // partial_rotary_factor turns a part of each head
	fields       []string                   // of config.json that details reads, or that have no effect in the family
	inert        map[string]string          // fields that have no effect at a value (JSON; "" is any), beside inertAt's
	details      func(*Config, *file) error // sets what is not common to all families
	// fresh gives the fields that config.json of a fresh model needs beside the common ones.
	fresh func(Config) map[string]any
}

var families = map[string]family{
	"granite":          granite,
	"granitemoehybrid": granite4,
	"llama":            llama,
	"ministral":        ministral,
	"ministral3":       ministral3,
	"mistral":          mistral,
	"phi3":             phi3,
	"qwen2":            qwen2,
	"qwen3":            qwen3,
	"smollm3":          smollm3,
}

// absent says why families that come near are not here.
var absent = map[string]string{
	"mixtral":    experts,
	"qwen2_moe":  experts,
	"qwen3_moe":  experts,
	"granitemoe": experts,
}

const experts = "each token goes through experts that a router chooses, and the engine has no such operation (dense models of the family are supported)"

// Families lists the model types the engine has.
func Families() []string {
	names := make([]string, 0, len(families))
	for n := range families {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func familyNames() string {
	return strings.Join(Families(), ", ") + ", and the text model of " + strings.Join(slices.Sorted(maps.Keys(nested)), ", ")
}

func familyOf(modelType string) (family, error) {
	f, ok := families[modelType]
	if why := absent[modelType]; why != "" {
		return family{}, fmt.Errorf("model_type %q is not supported: %s; the engine has %s", modelType, why, familyNames())
	}
	if !ok {
		return family{}, fmt.Errorf("model_type %q is not supported; the engine has %s", modelType, familyNames())
	}
	return f, nil
}
