package config

import (
	"maps"
	"slices"
	"strings"

	"triality/runtime/lora"
)

// LoRA is the adapter that the section asks for; nil in full fine-tuning.
func (t Training) LoRA() *lora.Config {
	if t.FinetuningType == "full" {
		return nil
	}
	c := &lora.Config{
		R: t.LoraR, Alpha: t.LoraAlpha, Dropout: t.LoraDropout, RSLoRA: t.UseRSLoRA, DoRA: t.UseDoRA,
		Layers: t.LoraLayersToTransform, LayersPattern: t.LoraLayersPattern, SaveModules: t.LoraModulesToSave,
		RankPattern: inOrder(t.LoraRankPattern), AlphaPattern: inOrder(t.LoraAlphaPattern),
	}
	c.TargetModules, c.TargetPattern = namesOr(t.LoraTargetModules)
	c.ExcludeModules, c.ExcludePattern = namesOr(t.LoraExcludeModules)
	return c
}

// namesOr tells a list of names from one regular expression: no module's name has what makes it one.
func namesOr(list []string) (names []string, pattern string) {
	if len(list) == 1 && strings.ContainsAny(list[0], `\*+?[](){}|^$`) {
		return nil, list[0]
	}
	return list, ""
}

// inOrder gives patterns in the order of their texts, in which peft stores them.
func inOrder[T any](m map[string]T) []lora.Pattern[T] {
	var out []lora.Pattern[T]
	for _, key := range slices.Sorted(maps.Keys(m)) {
		out = append(out, lora.Pattern[T]{Key: key, Value: m[key]})
	}
	return out
}
