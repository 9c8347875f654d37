package kinds

import (
	"context"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"triality/experiments/graph"
	"triality/experiments/kinds/convert"
)

func TestEveryKindSaysWhatItIs(t *testing.T) {
	types := []graph.Type{graph.Dataset, graph.Model, graph.Adapter, graph.ABResult, graph.Report, graph.Table, graph.GGUF, graph.Series, graph.Constant}
	seen := map[string]bool{}
	for _, k := range All(nil) {
		if k.Name == "" || seen[k.Name] || k.Plan == nil || k.Run == nil || len(k.Gives) == 0 {
			t.Errorf("kind %q is not whole, or listed twice", k.Name)
		}
		seen[k.Name] = true
		for _, o := range k.Gives {
			if o.Name == "" || !slices.Contains(types, o.Type) {
				t.Errorf("%s gives %+v", k.Name, o)
			}
		}
		body := reflect.TypeOf(k.Body())
		if body.Kind() != reflect.Pointer || body.Elem().Kind() != reflect.Struct {
			t.Errorf("%s: the body is a %s", k.Name, body)
			continue
		}
		documented(t, k.Name, body.Elem(), types)
	}
}

// documented holds every key of a body to a doc tag, and its inputs to types that are known.
func documented(t *testing.T, where string, body reflect.Type, types []graph.Type) {
	for i := range body.NumField() {
		f := body.Field(i)
		key := f.Tag.Get("yaml")
		if key == "-" {
			continue
		}
		if key == "" || f.Tag.Get("doc") == "" {
			t.Errorf("%s: the field %s has no yaml or no doc tag", where, f.Name)
		}
		for name := range strings.SplitSeq(f.Tag.Get("takes"), ",") {
			if name != "" && !slices.Contains(types, graph.Type(name)) {
				t.Errorf("%s: %s takes %q, which is no type", where, key, name)
			}
		}
		if f.Type.Kind() == reflect.Struct && !reflect.PointerTo(f.Type).Implements(reflect.TypeFor[yaml.Unmarshaler]()) {
			documented(t, where+"."+key, f.Type, types)
		}
	}
}

func TestAGraphOfTheKindsIsReadAndItsMistakesAreLocated(t *testing.T) {
	text := `steps:
  - {name: rows, kind: convert, body: {data: {input_path: rows.jsonl, max_length: 96}, base_model: "${small.model}"}}
  - {name: small, kind: base, body: {base_model: small, create: {shape: micro, text: words.txt}}}
  - name: tuned
    kind: finetune
    body:
      base_model: ${small.model}
      dataset: ${rows.dataset}
      training: {lora_r: 2}
`
	g, err := graph.Parse("g.yaml", []byte(text), All(nil))
	if err != nil {
		t.Fatal(err)
	}
	if b := g.Steps[0].Body.(*convert.Body); b.Data.MaxLength != 96 || b.Data.TestRatio != 0.2 || b.BaseModel.Text != "${small.model}" {
		t.Errorf("%+v", b)
	}
	for from, want := range map[string]string{
		"lora_r: 2":       "g.yaml:9: training.lora_rr: unknown key",
		"${rows.dataset}": "g.yaml:8: tuned: dataset: ${rows.summary} is a table; here it must be a data set",
	} {
		to := map[string]string{"lora_r: 2": "lora_rr: 2", "${rows.dataset}": "${rows.summary}"}[from]
		g, err := graph.Parse("g.yaml", []byte(strings.ReplaceAll(text, from, to)), All(nil))
		if err == nil {
			_, err = g.Make(context.Background(), All(nil), graph.Env{})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestThePageOfKindsIsMadeFromTheCode(t *testing.T) {
	have, err := os.ReadFile("../../docs/kinds.md")
	if err != nil || string(have) != Reference() {
		t.Errorf("docs/kinds.md is not what `triality config kinds` prints; %v", err)
	}
	if strings.Contains(Reference(), "``") {
		t.Error("a section's keys are listed nowhere")
	}
}
