package pipeline

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/dataset"
	"triality/experiments/graph"
	"triality/runtime/metricabi"
	"triality/runtime/sandbox"
)

func TestARowsOwnColumnsAreThoseThatItHas(t *testing.T) {
	if got := ownColumns(&dataset.Row{}); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
	got := ownColumns(&dataset.Row{Safety: "s", Thinking: "t", Extra: []dataset.Field{{Name: "n", Value: dataset.Value{Kind: dataset.Null}}, {Name: "x", Value: dataset.Value{Kind: dataset.String, Text: "y"}}}})
	if want := map[string]any{"safety_label": "s", "thinking_format": "t", "x": "y"}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestARowWithoutAReferenceHasNoValueAndOneWithoutALanguageAnEmptyOne(t *testing.T) {
	samples := []experiments.Sample{{Language: "ja", Reference: "an answer"}, {}}
	for name, missing := range map[string]bool{"reference": true, "language": false} {
		c, ok := textColumn(samples, name, hostColumns[name])
		if !ok || !c.Valid(0) || c.Valid(1) == missing {
			t.Errorf("%s: %v, %v, %v", name, ok, c.Valid(0), c.Valid(1))
		}
		if _, ok := textColumn(samples[1:], name, hostColumns[name]); ok {
			t.Errorf("%s of no row is a column", name)
		}
	}
}

func TestAColumnOfSixtyFourValuesIsSlicedBy(t *testing.T) {
	var samples []experiments.Sample
	for i := range maxSliceValues + 1 {
		samples = append(samples, experiments.Sample{Domain: fmt.Sprint("d", i)})
	}
	if rows, order, err := slicesBy(samples[:maxSliceValues], "domain"); err != nil || len(rows) != maxSliceValues || len(order) != maxSliceValues {
		t.Errorf("%d values, %v", len(rows), err)
	}
	if _, _, err := slicesBy(samples, "domain"); err == nil {
		t.Error("65 values are taken")
	}
}

func TestTheLogOfAModuleThatFailsIsKept(t *testing.T) {
	for log, want := range map[string]string{"": "written before", "of the failure": "of the failure"} {
		out := experiments.ModuleResult{Log: "written before"}
		moduleFailed(&out, fmt.Errorf("x: %w", &sandbox.Error{Log: log}))
		if out.Log != want || out.Error == "" || out.System {
			t.Errorf("%q: %+v", log, out)
		}
	}
}

func TestAModulesKeyIsThatOfItsParametersAsItUnderstandsThem(t *testing.T) {
	d := &metricabi.Description{Parameters: []metricabi.Parameter{{Name: "n", Type: metricabi.Number, Default: []byte("1")}}}
	m := &Module{SHA256: "s"}
	usual, err := moduleKey(m, d, nil)
	if err != nil || usual != experiments.ModuleKey("s", []byte(`{"n":1}`)) {
		t.Errorf("%s, %v", usual, err)
	}
	m.Params = map[string]any{"n": 1.0}
	if key, err := moduleKey(m, d, nil); err != nil || key != usual {
		t.Errorf("its default, given: %s, %v", key, err)
	}
	m.Params = map[string]any{"unknown": 1.0}
	given, err := experiments.GivenKey("s", m.Params)
	if err != nil {
		t.Fatal(err)
	}
	if key, err := moduleKey(m, d, nil); err == nil || key != given {
		t.Errorf("parameters that it refuses: %s, %v", key, err)
	}
	boom := errors.New("no module")
	if key, err := moduleKey(m, nil, boom); !errors.Is(err, boom) || key != given {
		t.Errorf("one that does not describe itself: %s, %v", key, err)
	}
}

func TestAnErrorOfAPathNamesTheKeyOfTheConfiguration(t *testing.T) {
	var cfg config.Pipeline
	cfg.Model.BaseModel, cfg.Test.ModelAPath, cfg.OutputDir = "base", "a", "a"
	for text, want := range map[string]string{"base": "model.base_model", "a": "test.model_a_path", "b": ""} {
		if got := keyOfPath(cfg, []graph.Type{graph.Model}, text); got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
	if got := keyOfPath(cfg, []graph.Type{graph.Dataset}, "a"); got != "test.test_data_path" {
		t.Errorf("a data set is %s", got)
	}
	missing := experiments.Errorf(experiments.CodeNotFound, "rows.jsonl: no such file")
	read := experiments.Errorf(experiments.CodeNotFound, "read rows: no file matches x")
	for _, tt := range []struct {
		key  string
		err  error
		want string
	}{
		{"data.input_path", missing, "data.input_path: rows.jsonl: no such file"}, {"", missing, "rows.jsonl: no such file"},
		{"data.input_path", read, "data.input_path: read rows: no file matches x"}, {"test.test_data_path", read, "test.test_data_path: read rows: no file matches x"},
		{"test.test_data_path", missing, "test.test_data_path: rows.jsonl: no such file"},
		{"test.test_data_path", experiments.Errorf(experiments.CodeNotFound, "model.base_model: none"), "model.base_model: none"},
	} {
		err := atKey(tt.key, tt.err)
		if err == nil || err.Error() != tt.want || experiments.CodeOf(err) != experiments.CodeNotFound {
			t.Errorf("%s: %v, want %s", tt.key, err, tt.want)
		}
	}
	if err := atKey("test.test_data_path", missing); !errors.Is(err, missing) {
		t.Error("the error is not kept")
	}
	if err := atKey("data.input_path", nil); err != nil {
		t.Errorf("nothing is wrong: %v", err)
	}
	if !slices.Contains(config.Keys(), "model.base_model") {
		t.Error("the keys have other names")
	}
}
