package kinds

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"triality/experiments/graph"
)

// Reference is the page of all kinds in Markdown, made from their bodies' tags and defaults. Sections that a pipeline YAML
// has too are named by it.
func Reference() string {
	var b strings.Builder
	b.WriteString("# Kinds of steps\n\nMade from the code by `triality config kinds`; a test holds this page to it. [graph.md](graph.md) says how steps are put together.\n")
	for _, k := range All(nil) {
		var gives []string
		for _, o := range k.Gives {
			gives = append(gives, fmt.Sprintf("`%s` (%s)", o.Name, o.Type))
		}
		cost, resumes := "It needs no device.", "starts over"
		if k.Cost == graph.Costly {
			cost = "It has a device to itself."
		}
		if k.Checkpoints != "" || k.OwnFolder {
			resumes = "resumes from its newest checkpoint"
		}
		fmt.Fprintf(&b, "\n## %s\n\nGives %s. %s Cut short, it %s.\n\n| key | takes | default | meaning |\n| --- | --- | --- | --- |\n", k.Name, strings.Join(gives, ", "), cost, resumes)
		body := reflect.ValueOf(k.Body()).Elem()
		for i := range body.NumField() {
			f := body.Type().Field(i)
			if key := f.Tag.Get("yaml"); key != "-" {
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", key, taken(f), usual(body.Field(i)), f.Tag.Get("doc"))
			}
		}
	}
	return b.String()
}

// taken says what an input takes, and of a section where its keys are listed.
func taken(f reflect.StructField) string {
	switch {
	case f.Type == reflect.TypeFor[graph.Input]():
		text := "a " + strings.ReplaceAll(f.Tag.Get("takes"), ",", " or a ")
		if f.Tag.Get("optional") == "true" {
			text += ", or nothing"
		}
		return strings.ReplaceAll(text, "a A/B", "an A/B")
	case f.Type.Kind() == reflect.Struct && f.Type.Name() == "Numbers":
		return "load_in_8bit, llm_int8_threshold, quantization, fp16, bf16, tf32, gradient_checkpointing, gradient_checkpointing_policy, allow_unknown_config"
	case f.Type.Kind() == reflect.Struct:
		return "the keys of `" + map[string]string{"Create": "model.create", "Metric": "test.metrics[]"}[f.Type.Name()] + map[string]string{
			"Data": "data", "Training": "training", "SO8T": "so8t", "Test": "test", "Report": "report"}[f.Type.Name()] + "`"
	}
	return ""
}

func usual(v reflect.Value) string {
	if v.Kind() == reflect.Struct || v.Kind() == reflect.String && v.Len() == 0 {
		return ""
	}
	text, err := yaml.Marshal(v.Interface())
	if err != nil {
		return ""
	}
	return "`" + strings.TrimSpace(string(text)) + "`"
}
