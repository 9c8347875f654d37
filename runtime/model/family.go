package model

import (
	"fmt"
	"slices"
	"strings"
)

// family is what a model type does differently.
type family struct {
	architecture string
	maxPositions int                        // where config.json has no max_position_embeddings
	biasField    bool                       // config.json has attention_bias
	headDim      int                        // where config.json has no head_dim; 0 for hidden_size/heads
	details      func(*Config, *file) error // sets what is not common to all families
}

var families = map[string]family{
	"llama":   llama,
	"mistral": mistral,
	"phi3":    phi3,
	"qwen2":   qwen2,
	"qwen3":   qwen3,
}

// Families lists the model types the engine has.
func Families() []string {
	names := make([]string, 0, len(families))
	for n := range families {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func familyNames() string { return strings.Join(Families(), ", ") }

func familyOf(modelType string) (family, error) {
	f, ok := families[modelType]
	if !ok {
		return family{}, fmt.Errorf("model_type %q is not supported; the engine has %s", modelType, familyNames())
	}
	return f, nil
}
