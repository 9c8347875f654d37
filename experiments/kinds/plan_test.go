package kinds

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/dataset"
	"triality/experiments/graph"
	"triality/experiments/kinds/abtest"
	"triality/experiments/kinds/basemodel"
	"triality/experiments/kinds/convert"
	"triality/experiments/kinds/export"
	"triality/experiments/kinds/finetune"
	"triality/experiments/kinds/metric"
	"triality/experiments/kinds/replace"
	"triality/experiments/kinds/report"
)

// reader is an engine that reads what planning asks for and lists it.
type reader struct {
	Engine
	calls  []string
	err    error
	report experiments.ReportInput
}

func (r *reader) Documents(_ context.Context, path, _ string, _ bool, _ graph.Teller) ([]string, error) {
	r.calls = append(r.calls, "documents "+path)
	return []string{"of " + path}, r.err
}

func (r *reader) Modules(_ context.Context, list []config.Metric, _ bool) ([]abtest.Module, error) {
	r.calls = append(r.calls, "modules "+list[0].Module)
	return []abtest.Module{{SHA256: "sum of " + list[0].Module}}, r.err
}

func (r *reader) MetricModule(_ context.Context, m config.Metric) (metric.Module, error) {
	r.calls = append(r.calls, "module "+m.Module)
	return metric.Module{SHA256: "sum of " + m.Module}, r.err
}

func (r *reader) WriteReport(_ context.Context, _ *graph.Planned, in experiments.ReportInput, path string) error {
	r.report = in
	return os.WriteFile(path, []byte("page"), 0o644)
}

// planned plans one step of a graph whose other inputs are what their texts say.
func planned(t *testing.T, r *reader, kind string, body any) (*graph.Planned, error) {
	t.Helper()
	return last(t, r, graph.Step{Name: "it", Kind: kind, Body: body})
}

func last(t *testing.T, r *reader, steps ...graph.Step) (*graph.Planned, error) {
	t.Helper()
	p, err := graph.Graph{Steps: steps}.Make(t.Context(), All(r), graph.Env{
		Dir: "work", Device: "cpu", Tell: func(*graph.Planned) graph.Teller { return &heard{} },
		Literal: func(_ context.Context, _ []graph.Type, text string) (graph.Value, error) {
			return graph.Value{Path: text, Key: "key of " + text}, nil
		},
	})
	if err != nil {
		return nil, err
	}
	return p.Steps[len(p.Steps)-1], nil
}

func lit(name string) graph.Input { return graph.Literal(name) }

// test is a body of an A/B test of two models on rows.
func test(change func(b *abtest.Body)) *abtest.Body {
	b := &abtest.Body{ModelA: lit("a"), ModelB: lit("b"), TestData: lit("rows"), TrainData: lit("rows")}
	change(b)
	return b
}

func TestWhatAStepNeedsIsReadOnceAndWhatIsMissingIsSaid(t *testing.T) {
	rows := filepath.Join(t.TempDir(), "rows.jsonl")
	if err := os.WriteFile(rows, []byte(`{"input":"a","output":"b","four_class_label":"DENY"}`+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	metrics := config.Test{Metrics: []config.Metric{{Module: "m"}}}
	nan := config.Create{Shape: "micro", LearningRate: math.NaN()}
	tests := []struct {
		name, kind string
		body       any
		err        error // of the engine
		calls      []string
		want       string // of the error
	}{
		{"a test's modules", abtest.Name, test(func(b *abtest.Body) { b.Test = metrics }), nil, []string{"modules m"}, ""},
		{"a test's modules that were read", abtest.Name, test(func(b *abtest.Body) { b.Test, b.Modules = metrics, []abtest.Module{{SHA256: "s"}} }), nil, nil, ""},
		{"a test's modules that cannot be read", abtest.Name, test(func(b *abtest.Body) { b.Test = metrics }), boom, []string{"modules m"}, "it: boom"},
		{"a test without metrics", abtest.Name, test(func(b *abtest.Body) {}), boom, nil, ""},
		{"modules of another test", abtest.Name, test(func(b *abtest.Body) { b.Test, b.Modules = metrics, []abtest.Module{{}, {}} }), nil, nil, "2 modules for 1 metrics"},
		{"a path beside an input", abtest.Name, test(func(b *abtest.Body) { b.Test.ModelBPath = "c" }), nil, nil, "test.model_b_path: give model_b instead"},
		{"the same path beside an input", abtest.Name, test(func(b *abtest.Body) { b.Test.ModelBPath = "b" }), nil, nil, ""},

		{"a base model's text", basemodel.Name, &basemodel.Body{Folder: "base", Create: config.Create{Shape: "micro", Text: "t"}}, nil, []string{"documents t"}, ""},
		{"a base model's text that cannot be read", basemodel.Name, &basemodel.Body{Folder: "base", Create: config.Create{Shape: "micro", Text: "t"}}, boom, []string{"documents t"}, "it: create.text: boom"},
		{"a base model's documents", basemodel.Name, &basemodel.Body{Folder: "base", Create: config.Create{Shape: "micro"}, Docs: []string{"d"}}, nil, nil, ""},
		{"a base model of nothing", basemodel.Name, &basemodel.Body{Folder: "base", Create: config.Create{Shape: "micro"}}, nil, nil, "create.text: name a text to train on"},
		{"a base model without a folder", basemodel.Name, &basemodel.Body{Create: config.Create{Shape: "micro"}, Docs: []string{"d"}}, nil, nil, "give base_model and create.shape"},
		{"a base model without a shape", basemodel.Name, &basemodel.Body{Folder: "base", Docs: []string{"d"}}, nil, nil, "give base_model and create.shape"},
		{"a base model that has no key", basemodel.Name, &basemodel.Body{Folder: "base", Create: nan, Docs: []string{"d"}}, nil, nil, "NaN"},

		{"rows", convert.Name, &convert.Body{Data: config.Data{InputPath: rows}}, nil, nil, ""},
		{"rows that are not there", convert.Name, &convert.Body{Data: config.Data{InputPath: rows + "x"}}, nil, nil, "rows.jsonlx"},
		{"rows that were read", convert.Name, &convert.Body{Data: config.Data{InputPath: rows + "x"}, Rows: &dataset.Prepared{}}, nil, nil, ""},

		{"a metric's module", metric.Name, &metric.Body{Result: lit("r"), Arm: "B", OtherArm: "B", Metric: config.Metric{Module: "m"}}, nil, []string{"module m"}, ""},
		{"a metric's module that was read", metric.Name, &metric.Body{Result: lit("r"), Arm: "B", OtherArm: "B", Read: &metric.Module{}}, nil, nil, ""},
		{"a metric's module that cannot be read", metric.Name, &metric.Body{Result: lit("r"), Arm: "B", OtherArm: "B", Metric: config.Metric{Module: "m"}}, boom, []string{"module m"}, "it: boom"},
		{"an arm of no other result", metric.Name, &metric.Body{Result: lit("r"), Arm: "A", OtherArm: "B", Read: &metric.Module{}}, nil, nil, "say which arms are compared where there is an other result"},
		{"another arm of no other result", metric.Name, &metric.Body{Result: lit("r"), Arm: "B", OtherArm: "A", Read: &metric.Module{}}, nil, nil, "say which arms are compared where there is an other result"},
		{"arms of two results", metric.Name, &metric.Body{Result: lit("r"), Other: lit("o"), Arm: "A", OtherArm: "A", Read: &metric.Module{}}, nil, nil, ""},

		{"numbers against training's", finetune.Name, &finetune.Body{BaseModel: lit("b"), Dataset: lit("d"), Numbers: config.Numbers{FP16: true}}, nil, nil, "numbers.fp16: give training.fp16 instead"},
		{"every weight in 8 bits", finetune.Name, &finetune.Body{BaseModel: lit("b"), Dataset: lit("d"), Training: config.Training{FinetuningType: "full"}, Numbers: config.Numbers{LoadIn8bit: true}}, nil, nil, "choose one"},
		{"an adapter beside 8 bits", finetune.Name, &finetune.Body{BaseModel: lit("b"), Dataset: lit("d"), Training: config.Training{FinetuningType: "lora"}, Numbers: config.Numbers{LoadIn8bit: true}}, nil, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &reader{err: tt.err}
			p, err := planned(t, r, tt.kind, tt.body)
			if !slices.Equal(r.calls, tt.calls) {
				t.Errorf("read %q, want %q", r.calls, tt.calls)
			}
			switch {
			case tt.want == "" && (err != nil || len(p.Key) != 64 || len(p.Files) == 0):
				t.Errorf("%+v, %v", p, err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestAKeyIsThatOfWhatTheResultDependsOn(t *testing.T) {
	key := func(kind string, body any) string {
		t.Helper()
		p, err := planned(t, &reader{}, kind, body)
		if err != nil {
			t.Fatal(err)
		}
		return p.Key
	}
	trained := func(on string) string {
		return key(abtest.Name, test(func(b *abtest.Body) { b.TrainData = lit(on) }))
	}
	if trained("rows") == trained("x") || trained("x") == trained("y") {
		t.Error("a test's training data are not in its key")
	}
	compared := func(other string) string {
		return key(metric.Name, &metric.Body{Result: lit("r"), Other: lit(other), Arm: "B", OtherArm: "B", Read: &metric.Module{}})
	}
	if compared("") == compared("x") || compared("x") == compared("y") {
		t.Error("a metric's other result is not in its key")
	}
	// The length of what is packed is in the key where it is not that of the data set, whose key has its own.
	for _, kind := range []string{finetune.Name, replace.Name} {
		packed := func(packing bool, length int) string {
			t.Helper()
			rows := graph.Step{Name: "rows", Kind: convert.Name, Body: &convert.Body{Data: config.Data{MaxLength: 96}, Rows: &dataset.Prepared{}}}
			var body any = &finetune.Body{BaseModel: lit("b"), Dataset: graph.Ref("rows", "dataset"), Training: config.Training{Packing: packing}, MaxLength: length}
			if kind == replace.Name {
				body = &replace.Body{Model: lit("b"), Dataset: graph.Ref("rows", "dataset"), SO8T: config.SO8T{Packing: packing}, MaxLength: length}
			}
			p, err := last(t, &reader{}, rows, graph.Step{Name: "it", Kind: kind, Body: body})
			if err != nil {
				t.Fatal(err)
			}
			return p.Key
		}
		if packed(false, 96) != packed(false, 64) || packed(true, 64) == packed(true, 32) || packed(true, 96) == packed(true, 64) {
			t.Errorf("%s: the length of a packed sequence decides where sequences are packed", kind)
		}
		rows, err := planned(t, &reader{}, convert.Name, &convert.Body{Data: config.Data{MaxLength: 96}, Rows: &dataset.Prepared{}})
		if err != nil {
			t.Fatal(err)
		}
		if kind == replace.Name {
			want, err := graph.Key(kind, "key of b", rows.Key, config.SO8T{Packing: true}, uint64(0), "cpu", config.Numbers{}.Parts())
			if err != nil || packed(true, 96) != want {
				t.Errorf("the length of the data set is in the key twice: %v", err)
			}
			continue
		}
		want, err := graph.Key(kind, rows.Key, "key of b", config.Training{Packing: true}.Keyed(), uint64(0), "cpu", config.Numbers{}.Parts())
		if err != nil || packed(true, 96) != want {
			t.Errorf("the length of the data set is in the key twice: %v", err)
		}
	}
}

func TestAnExportIsNamedAsItsModel(t *testing.T) {
	for model, want := range map[string]string{"org/name@commit": "name", filepath.Join("some", "folder"): "folder"} {
		p, err := planned(t, &reader{}, export.Name, &export.Body{Model: lit(model)})
		if err != nil || p.Body.(*export.Body).Name != want {
			t.Errorf("%s: %q, %v", model, p.Body.(*export.Body).Name, err)
		}
	}
	if p, err := planned(t, &reader{}, export.Name, &export.Body{Model: lit("m"), Name: "own"}); err != nil || p.Body.(*export.Body).Name != "own" {
		t.Errorf("%v", err)
	}
}

func TestAFineTuningGivesWhatItWrites(t *testing.T) {
	for kind, want := range map[string][]string{"full": {"model"}, "lora": {"adapter", "model"}} {
		p, err := planned(t, &reader{}, finetune.Name, &finetune.Body{BaseModel: lit("b"), Dataset: lit("d"), Training: config.Training{FinetuningType: kind}})
		if err != nil {
			t.Fatal(err)
		}
		var gives []string
		for _, name := range []string{"adapter", "model"} {
			if p.Output(name) != p.Dir {
				gives = append(gives, name)
			}
		}
		if !slices.Equal(gives, want) || filepath.Base(p.Output("model")) != "merged" || len(p.Files) != len(want) {
			t.Errorf("%s gives %q of %q", kind, gives, p.Files)
		}
	}
}

func TestAReportShowsWhatItIsGiven(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, v any) string {
		path := filepath.Join(dir, name)
		if err := graph.WriteJSON(path, v); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ab, data := write("ab.json", experiments.ABResult{Rows: 7}), write("data.json", experiments.DatasetSummary{Rows: 9})
	for _, tt := range []struct {
		name string
		body report.Body
		want string // of the error
	}{
		{"a result alone", report.Body{AB: lit(ab)}, ""}, {"a result and its data", report.Body{AB: lit(ab), Data: lit(data)}, ""}, {"a result that is not there", report.Body{AB: lit(ab + "x")}, "ab.jsonx"},
	} {
		r := &reader{}
		p, err := graph.Graph{Steps: []graph.Step{{Name: "it", Kind: report.Name, Body: &tt.body}}}.Make(t.Context(), All(r), graph.Env{
			Dir: t.TempDir(), Tell: func(*graph.Planned) graph.Teller { return &heard{} },
			Literal: func(_ context.Context, _ []graph.Type, text string) (graph.Value, error) {
				return graph.Value{Path: text, Key: text}, nil
			},
		})
		if err == nil {
			err = graph.Executor{}.Run(t.Context(), p, &heard{})
		}
		if tt.want != "" {
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
			}
			continue
		}
		if err != nil || r.report.AB == nil || r.report.AB.Rows != 7 || r.report.Data == nil != (tt.body.Data.Text == "") {
			t.Errorf("%s: %+v, %v", tt.name, r.report, err)
		}
	}
}
