package kinds

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"triality/experiments/graph"
	"triality/experiments/kinds/basemodel"
	"triality/experiments/kinds/sweep"
)

// Reference is the page of all kinds in Markdown, made from their bodies' tags and defaults. Sections that a pipeline YAML
// has too are named by it.
func Reference() string {
	var b strings.Builder
	b.WriteString("# Kinds of steps\n\nMade from the code by `triality config kinds`; a test holds this page to it. [graph.md](graph.md) says how steps are put together.\n")
	b.WriteString(aboutFree)
	for _, k := range All(nil) {
		var gives []string
		for _, o := range k.Gives {
			gives = append(gives, fmt.Sprintf("`%s` (%s)", o.Name, o.Type))
		}
		if k.Expand != nil {
			gives = append(gives, "`best.NAME`, an output of the best of the steps that it runs")
		}
		cost, resumes := "It needs no device.", "starts over"
		if k.Cost == graph.Free {
			cost = "It shows what others gave, in an instant."
		}
		if k.Expand != nil {
			cost, resumes = "It needs what the steps need that it runs.", "takes over those of them that have ended"
		}
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

const aboutFree = `
Kinds that show what others gave keep no result of their own in a notebook's page: it asks for what they show each time that it
asks for the states of the cells, and they wait for cells that have no result. A run of the graph writes what they show as a file of
the run. What such a cell reads of the tracker's runs is read when the plan is made and is a part of its key: when the tracker
answers otherwise, the cell shows that, and a run shows the runs that were there when it was planned, itself not among them. A worker
on another machine reads no runs.

${NAME.value} of an input stands for its value as the whole value of any key; ${NAME.metrics.SERIES} is what a step logged.
`

// taken says what an input takes, and of a section where its keys are listed.
func taken(f reflect.StructField) string {
	switch {
	case f.Type == reflect.TypeFor[graph.Input]():
		text := "a " + strings.ReplaceAll(f.Tag.Get("takes"), ",", " or a ")
		if f.Tag.Get("optional") == "true" {
			text += ", or nothing"
		}
		return strings.ReplaceAll(text, "a A/B", "an A/B")
	case f.Type == reflect.TypeFor[[]graph.Input]():
		return "some of " + strings.ReplaceAll(f.Tag.Get("takes"), ",", ", ")
	case f.Type == reflect.TypeFor[graph.Prose]():
		return "a text with values of other steps"
	case f.Type == reflect.TypeFor[graph.SeriesRef]():
		return "`${STEP.metrics.SERIES}`"
	case f.Type == reflect.TypeFor[sweep.Keys]():
		return "a mapping of keys to values"
	case f.Type == reflect.TypeFor[basemodel.Rows]():
		return "input_path, val_ratio, test_ratio, seed"
	case f.Type == reflect.TypeFor[sweep.Budget]():
		return "key, min, max"
	case f.Type.Kind() == reflect.Struct && f.Type.Name() == "Numbers":
		return "load_in_8bit, llm_int8_threshold, quantization, fp16, bf16, tf32, gradient_checkpointing, gradient_checkpointing_policy, allow_unknown_config"
	case f.Type.Kind() == reflect.Struct:
		return "the keys of `" + map[string]string{"Create": "model.create", "Metric": "test.metrics[]"}[f.Type.Name()] + map[string]string{
			"Data": "data", "Training": "training", "SO8T": "so8t", "Test": "test", "Report": "report"}[f.Type.Name()] + "`"
	}
	return ""
}

func usual(v reflect.Value) string {
	switch {
	case v.Kind() == reflect.Struct, v.Kind() == reflect.String && v.Len() == 0, v.Kind() == reflect.Slice && v.Len() == 0, v.Kind() == reflect.Interface:
		return ""
	}
	text, err := yaml.Marshal(v.Interface())
	if err != nil {
		return ""
	}
	return "`" + strings.TrimSpace(string(text)) + "`"
}
